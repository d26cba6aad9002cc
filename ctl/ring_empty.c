#include "ctl/ring_empty.h"

#include <stdio.h>
#include <string.h>

#include "keys/key_id.h"

#define CURRENT_MAX 1024u

err_t ring_remembered(const struct workplace *workplace, struct ring_key *ret_key, bool *ret_known)
{
    struct state_current record;
    uint8_t bytes[CURRENT_MAX];
    size_t len = 0;
    err_t err =
        state_read(&workplace->state, STATE_CURRENT, NULL, span_mut_of(bytes, sizeof(bytes)), &len);
    if (err.code == E_SYSTEM) {
        return err;
    }
    *ret_known = !failed(err) && !failed(state_current_parse(span_of(bytes, len), &record));
    if (*ret_known) {
        *ret_key = (struct ring_key){.not_before = record.not_before,
                                     .created = record.created,
                                     .verdict = RING_GOOD};
        span_move(ret_key->kek_id, record.kek_id, KEK_ID_LEN);
    }
    return OK;
}

/* Adds a name that is not there yet; what does not fit is left out. */
static void add_name(char names[RING_NAMES_MAX], const char *name)
{
    char framed[RING_NAMES_MAX + 4];
    char wanted[32];
    size_t len = strlen(names);
    (void)snprintf(framed, sizeof(framed), " %s,", names);
    (void)snprintf(wanted, sizeof(wanted), " %s,", name);
    if (strstr(framed, wanted) == NULL && len + strlen(name) + 3 < RING_NAMES_MAX) {
        (void)snprintf(names + len, RING_NAMES_MAX - len, "%s%s", len == 0 ? "" : ", ", name);
    }
}

void ring_others(const struct workplace *workplace, char ret_names[RING_NAMES_MAX])
{
    const struct ipc_list list = {.all = 1};
    const struct ipc_key *keys = NULL;
    size_t n = 0;
    ret_names[0] = '\0';
    if (failed(token_session_list(workplace->session, &list, &keys, &n))) {
        (void)snprintf(ret_names, RING_NAMES_MAX, "?");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const struct ipc_activation *activation = &keys[i].activation;
        bool placed = activation->by != IPC_BY_NOTHING && activation->by != IPC_BY_BROKEN_LABEL;
        if (placed && strcmp(activation->ring, workplace->config->ring) != 0) {
            add_name(ret_names, activation->ring);
        }
    }
}

err_t ring_empty_say(const struct ctl *ctl, const struct workplace *workplace)
{
    struct ring_key lost;
    char key_id[KEY_ID_TEXT_LEN + 1];
    char names[RING_NAMES_MAX];
    const char *ring = ctl->config.ring;
    const char *token = token_session_status(workplace->session)->token;
    bool known = false;
    TRY(ring_remembered(workplace, &lost, &known));
    if (known) {
        key_id_text(lost.kek_id, lost.not_before, key_id);
        (void)fprintf(
            ctl->err,
            "p11-kmsctl: ring %s has no key on token %s, but KEK %s served here: restore "
            "the token from its backup, or make a new KEK with `p11-kmsctl rotate --now`; "
            "what the lost one sealed then stays unreadable\n",
            ring, token, key_id);
        return OK;
    }
    ring_others(workplace, names);
    if (names[0] != '\0') {
        (void)fprintf(ctl->err,
                      "p11-kmsctl: ring %s has no key on token %s, where these rings are: %s. Is "
                      "`ring:` right in %s? A new ring starts with `p11-kmsctl init`\n",
                      ring, token, names, ctl->config.path);
        return OK;
    }
    (void)fprintf(ctl->err,
                  "p11-kmsctl: ring %s has no key on token %s, nor has any other: is it the right "
                  "token? `p11-kmsctl init` makes the first KEK\n",
                  ring, token);
    return OK;
}
