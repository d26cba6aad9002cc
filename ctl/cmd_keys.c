/* keys: every KEK of the ring, what the daemon makes of it, and whether it really works. */
#include <string.h>

#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/ring_empty.h"
#include "ctl/time_text.h"
#include "ctl/workplace.h"
#include "keys/key_id.h"

static json_t *describe(const struct ctl *ctl, const struct workplace *workplace,
                        const struct ring_view *view, size_t i)
{
    char key_id[KEY_ID_TEXT_LEN + 1];
    char hex[2 * KEK_ID_LEN + 1];
    char state[RING_VIEW_STATE];
    char time[TIME_TEXT_LEN];
    const struct ring_view_row *row = &view->rows[i];
    json_t *json = json_object();
    key_id_hex(span_of(row->ring.kek_id, KEK_ID_LEN), hex);
    ring_view_key_id(row, key_id);
    output_text(json, "kek_id", key_id[0] == '\0' ? "" : hex);
    ring_view_state(view, i, state);
    output_text(json, "state", state);
    time_text_write(row->ring.not_before, time);
    output_text(json, "not_before", time);
    time_text_age(view->now_s - row->ring.created, time);
    output_text(json, "age", time);
    output_text(json, "token", row->key.token);
    output_text(json, "proof", workplace_proof(workplace, &row->key.ref));
    if (ctl->output == CTL_JSON) {
        output_text(json, "key_id", key_id);
        output_number(json, "not_before_s", row->ring.not_before);
        output_number(json, "created_s", row->ring.created);
        output_text(json, "serial", row->key.serial);
        output_text(json, "label", row->key.label);
        listing_faults(&row->key, state, sizeof(state));
        output_text(json, "faults", state);
        output_bool(json, "waived", row->waived);
        output_bool(json, "modifiable", (row->key.bad & IPC_ATTR_MODIFIABLE) != 0);
    }
    return json;
}

static void warn(const struct ctl *ctl, const struct ring_view *view)
{
    bool none_seals = view->n > 0 && view->choice.selected == NULL;
    bool ahead = ring_all_ahead(view->ring, view->n, view->now_s);
    const struct {
        bool on;
        const char *text;
    } rows[] = {
        {none_seals && !ahead && !view->choice.unknown_above,
         "no key of the ring can seal now: mend what their states say, or p11-kmsctl rotate --now "
         "makes one that can"},
        {none_seals && !ahead && view->choice.unknown_above, "no key of the ring can seal now"},
        {ahead, "every key becomes active only in the future: set the clock of this host"},
        {view->choice.beyond_horizon, "a key more than 32 days ahead is ignored"},
        {view->choice.created_after_not_before, "a key created after its not-before is ignored"},
        {view->choice.unknown_above, "a key that cannot be read ranks above the active one"},
        {view->choice.bad_above, "a refused key ranks above the active one"},
        {view->unnamed > 0, "a key of the token cannot be read, and may be of this ring"},
        {view->broken_labels > 0, "a key has a broken label of this ring"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].on) {
            (void)fprintf(ctl->err, "p11-kmsctl: warning: %s\n", rows[i].text);
        }
    }
}

static err_t show(const struct ctl *ctl, const struct workplace *workplace, int *ret_exit)
{
    CLEANUP(ring_view_done) struct ring_view view = {0};
    OWN_JSON *rows = json_array();
    TRY(workplace_view(workplace, &view));
    bool good = view.choice.selected != NULL;
    for (size_t i = 0; i < view.n; i++) {
        json_t *row = describe(ctl, workplace, &view, i);
        good = good && strcmp(json_string_value(json_object_get(row, "proof")), "ok") == 0;
        output_row(rows, row);
    }
    bool printed = output_print(ctl, rows);
    warn(ctl, &view);
    *ret_exit = !printed ? CTL_FAILED : good ? CTL_OK : CTL_FINDING;
    bool empty = view.n + view.broken_labels + view.unnamed == 0;
    return empty ? ring_empty_say(ctl, workplace) : OK;
}

int ctl_keys(struct ctl *ctl)
{
    if (!options_command(ctl, NULL, 0, NULL)) {
        return CTL_USAGE;
    }
    int code = CTL_FAILED;
    CLEANUP(workplace_close) struct workplace workplace = {.state = {.fd = -1}};
    err_t err = workplace_open(ctl, &workplace);
    if (!failed(err)) {
        err = show(ctl, &workplace, &code);
    }
    return failed(err) ? ctl_failed(ctl, err) : code;
}
