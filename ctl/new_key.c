#include "ctl/new_key.h"

#include <string.h>

#include "base/clock.h"
#include "ctl/time_text.h"
#include "keys/key_id.h"

static void add_times(json_t *report, const struct ring_key *ring)
{
    char text[TIME_TEXT_LEN];
    time_text_write(ring->not_before, text);
    output_text(report, "active_from", text);
    output_number(report, "not_before", ring->not_before);
    output_number(report, "created", ring->created);
}

err_t new_key_report(const struct workplace *workplace, const struct ipc_key *key, json_t *report,
                     bool *ret_good)
{
    CLEANUP(ring_view_done) struct ring_view view = {0};
    char text[RING_VIEW_STATE];
    TRY(ring_view_new(workplace->config, key, 1, clock_real_s(), &view));
    if (view.n != 1) {
        return FAIL(E_TOKEN, "the token gave the new key another label than asked");
    }
    const struct ring_view_row *row = &view.rows[0];
    key_id_text(row->ring.kek_id, row->ring.not_before, text);
    output_text(report, "key_id", text);
    add_times(report, &row->ring);
    output_text(report, "token", key->token);
    output_text(report, "serial", key->serial);
    ring_view_faults(key, text);
    output_text(report, "attributes", text[0] == '\0' ? "ok" : text);
    const char *proof = workplace_proof(workplace, &key->ref);
    output_text(report, "proof", proof);
    *ret_good = row->ring.verdict == RING_GOOD && strcmp(proof, "ok") == 0;
    return OK;
}
