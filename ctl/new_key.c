#include "ctl/new_key.h"

#include <string.h>

#include "base/clock.h"
#include "ctl/signals.h"
#include "ctl/time_text.h"
#include "keys/key_id.h"

#define UNUSABLE                                                                                   \
    "this KEK cannot be used as it is: look again with p11-kmsctl keys, which says why; if it "    \
    "stays so, mend the cause and make another with p11-kmsctl rotate --now"

static void add_times(json_t *report, const struct ring_key *ring)
{
    char text[TIME_TEXT_LEN];
    time_text_write(ring->not_before, text);
    output_text(report, "active_from", text);
    output_number(report, "not_before", ring->not_before);
    output_number(report, "created", ring->created);
}

/* It may be a good one: whoever could not read it now says nothing about later. */
static void tell_unread(const struct ctl *ctl, const struct ipc_key *key)
{
    (void)fprintf(ctl->err,
                  "p11-kmsctl: made a KEK on token %s, labelled %s, that could not be read back\n",
                  key->token, key->label);
}

static void tell(const struct ctl *ctl, const struct ipc_key *key)
{
    char key_id[KEY_ID_TEXT_LEN + 1];
    char from[TIME_TEXT_LEN];
    CLEANUP(ring_view_done) struct ring_view view = {0};
    key_id[0] = '\0';
    if (!failed(ring_view_new(&ctl->config, key, 1, clock_real_s(), &view)) && view.n == 1) {
        ring_view_key_id(&view.rows[0], key_id);
    }
    if (key_id[0] == '\0') {
        tell_unread(ctl, key);
        return;
    }
    time_text_write(view.ring[0].not_before, from);
    (void)fprintf(ctl->err, "p11-kmsctl: made KEK %s on token %s, active from %s\n", key_id,
                  key->token, from);
}

#define NOT_KNOWN                                                                                  \
    FAIL(E_UNAVAILABLE, "it is not known whether the KEK was made: when the token answers again, " \
                        "look for it with `p11-kmsctl keys` before you try again")

static err_t lacks(const struct ctl *ctl, uint64_t mechanism)
{
    (void)fprintf(ctl->err,
                  "p11-kmsctl: nothing was made: the token says that it does not do %s\n",
                  ipc_mechanism_words(mechanism));
    return FAIL(E_UNSUPPORTED, ""); /* all is said */
}

/* `lost`: the error that the token's answer, if there was one, was lost in. */
static err_t settle(const struct ctl *ctl, struct workplace *workplace,
                    const struct ipc_generate *generate, err_t lost, struct ipc_key *ret_key)
{
    char id[2 * sizeof(generate->id) + 1];
    key_id_hex(span_of(generate->id, sizeof(generate->id)), id);
    struct span wanted = span_of(generate->id, sizeof(generate->id));
    (void)ctl_failed(ctl, lost);
    (void)fprintf(ctl->err, "p11-kmsctl: looking whether the KEK was made (CKA_ID %s)\n", id);
    err_t found = workplace_find(ctl, workplace, wanted, ret_key);
    if (!failed(found)) {
        return OK;
    }
    if (found.code != E_NOT_FOUND) {
        (void)ctl_failed(ctl, found);
        return NOT_KNOWN;
    }
    if (lost.code == E_TOKEN) {
        return FAIL(E_UNAVAILABLE, "no KEK was made");
    }
    return FAIL(E_UNAVAILABLE,
                "no KEK was made: it is not on the token now. An HSM that still works on it may "
                "bring it later, so look with `p11-kmsctl keys` before you try again");
}

/* Said before the signal has its effect; and the token process is let go of, not killed at work. */
static err_t give_up(const struct ctl *ctl, struct workplace *workplace, err_t err)
{
    (void)ctl_failed(ctl, err);
    token_session_close(workplace->session);
    workplace->session = NULL;
    return err;
}

/* Refused before anything was made, in the words for it; OK: that cannot be told of this error. */
static err_t refused(const struct ctl *ctl, err_t err)
{
    if (err.code == E_STATE) {
        return err;
    }
    return err.code == E_UNSUPPORTED ? lacks(ctl, err.detail) : OK;
}

err_t new_key_make(const struct ctl *ctl, struct workplace *workplace,
                   struct ipc_generate *generate, struct ipc_key *ret_key)
{
    CLEANUP(signals_release) struct signals signals = {.fd = -1};
    TRY(workplace_name_key(workplace, generate));
    TRY(signals_hold(&signals));
    err_t err =
        token_session_generate(workplace->session, generate, signals.fd, ctl->err, ret_key);
    err_t refusal = refused(ctl, err);
    if (failed(err) && signals_wait(&signals)) {
        return give_up(ctl, workplace, failed(refusal) ? refusal : NOT_KNOWN);
    }
    TRY(refusal);
    TRY(failed(err) ? settle(ctl, workplace, generate, err, ret_key) : OK);
    tell(ctl, ret_key);
    return OK;
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
    ring_view_key_id(row, text);
    output_text(report, "key_id", text);
    if (row->ring.verdict == RING_UNKNOWN) {
        ring_view_state(&view, 0, text);
        output_text(report, "state", text);
    }
    add_times(report, &row->ring);
    output_text(report, "token", key->token);
    output_text(report, "serial", key->serial);
    listing_faults(key, text, sizeof(text));
    output_text(report, "attributes", text[0] == '\0' ? "ok" : text);
    const char *proof = workplace_proof(workplace, &key->ref);
    output_text(report, "proof", proof);
    bool good = row->ring.verdict == RING_GOOD && strcmp(proof, "ok") == 0;
    if (!good) {
        output_text(report, "next", UNUSABLE);
    }
    *ret_good = good;
    return OK;
}
