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

void new_key_tell(const struct ctl *ctl, const struct ipc_key *key)
{
    char key_id[KEY_ID_TEXT_LEN + 1];
    char from[TIME_TEXT_LEN];
    CLEANUP(ring_view_done) struct ring_view view = {0};
    if (failed(ring_view_new(&ctl->config, key, 1, clock_real_s(), &view)) || view.n != 1) {
        (void)fprintf(ctl->err, "p11-kmsctl: made a KEK on token %s, labelled %s\n", key->token,
                      key->label);
        return;
    }
    key_id_text(view.ring[0].kek_id, view.ring[0].not_before, key_id);
    time_text_write(view.ring[0].not_before, from);
    (void)fprintf(ctl->err, "p11-kmsctl: made KEK %s on token %s, active from %s\n", key_id,
                  key->token, from);
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
