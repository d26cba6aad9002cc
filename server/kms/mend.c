#include "server/kms/mend.h"

#include <stdbool.h>
#include <stdio.h>

#include "keys/key_id.h"

/* The key whose verdict the view carries. */
static void subject_id(const struct rotation_view *view, char *ret_hex)
{
    const struct ring_key *key = view->has_serving ? &view->serving : &view->remembered;
    key_id_hex(span_of(key->kek_id, KEK_ID_LEN), ret_hex);
}

static const char *token_name(const struct mend_facts *facts)
{
    return facts->token->token[0] != '\0' ? facts->token->token : facts->config->tokens[0].name;
}

static bool say_verdict(const struct mend_facts *facts, char *ret_text, size_t size)
{
    char hex[2 * KEK_ID_LEN + 1];
    subject_id(facts->view, hex);
    switch (facts->view->verdict) {
    case ROTATION_MISSING:
        (void)snprintf(
            ret_text, size,
            "KEK %s of ring %s is no longer on token %s: restore the token from its backup, "
            "or make a new KEK with p11-kmsctl rotate --now",
            hex, facts->config->ring, token_name(facts));
        return true;
    case ROTATION_CHANGED:
        (void)snprintf(
            ret_text, size,
            "KEK %s of ring %s on token %s is not the key that it was: restore the token from "
            "its backup, or make a new KEK with p11-kmsctl rotate --now",
            hex, facts->config->ring, token_name(facts));
        return true;
    case ROTATION_BAD:
        (void)snprintf(
            ret_text, size,
            "KEK %s of ring %s has attributes that a KEK must not have%s%s: make a new KEK with "
            "p11-kmsctl rotate --now, or waive it",
            hex, facts->config->ring, facts->refused[0] != '\0' ? ", refused: " : "",
            facts->refused);
        return true;
    case ROTATION_FINE:
    default:
        return false;
    }
}

static bool has_text(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* Without its lock in the state folder no token process starts. */
static bool say_token(const struct mend_facts *facts, char *ret_text, size_t size)
{
    static const char *const phases[] = {
        [IPC_PHASE_STARTING] = "the token process is starting",
        [IPC_PHASE_NO_MODULE] = "the PKCS#11 module cannot be loaded",
        [IPC_PHASE_NO_TOKEN] = "no token matches the configured URI",
        [IPC_PHASE_PIN] = "the token refused the PIN: mend the PIN, then p11-kmsctl pin-retry",
        [IPC_PHASE_CONFIG] = "the configuration does not fit the token",
    };
    if (facts->token->phase >= IPC_PHASE_READY) {
        return false;
    }
    bool is_stuck = facts->token->phase == IPC_PHASE_STARTING && has_text(facts->storing);
    const char *text = is_stuck ? facts->storing : facts->token->text;
    (void)snprintf(ret_text, size, "%s", text[0] != '\0' ? text : phases[facts->token->phase]);
    return true;
}

static bool say_unread(const struct mend_facts *facts, char *ret_text, size_t size)
{
    if (facts->unread[0] == '\0') {
        return false;
    }
    (void)snprintf(ret_text, size,
                   "a key of token %s cannot be read: %s; it is tried again by itself, see "
                   "token-key-unreadable in the log",
                   token_name(facts), facts->unread);
    return true;
}

static bool say_ring(const struct mend_facts *facts, char *ret_text, size_t size)
{
    const struct rotation_view *view = facts->view;
    if (view->ring_empty) {
        (void)snprintf(ret_text, size, "no KEK of ring %s on token %s: run p11-kmsctl init",
                       facts->config->ring, token_name(facts));
        return true;
    }
    if (view->clock_suspect) {
        (void)snprintf(
            ret_text, size,
            "every KEK of ring %s becomes active only in the future: set the clock of this host",
            facts->config->ring);
        return true;
    }
    return false;
}

static bool say_key(const struct mend_facts *facts, char *ret_text, size_t size)
{
    const struct rotation_view *view = facts->view;
    if (view->has_serving) {
        return false;
    }
    if (!view->has_selected && facts->refused[0] != '\0') {
        (void)snprintf(ret_text, size, "no KEK of ring %s may seal, refused: %s",
                       facts->config->ring, facts->refused);
        return true;
    }
    if (view->older_than_remembered && view->has_selected) {
        char key_id[KEY_ID_TEXT_LEN + 1];
        key_id_text(view->remembered.kek_id, view->remembered.not_before, key_id);
        (void)snprintf(
            ret_text, size,
            "token %s holds only older KEKs of ring %s than %s, which served here: is it the "
            "right token, and complete?",
            token_name(facts), facts->config->ring, key_id);
        return true;
    }
    (void)snprintf(ret_text, size, "waiting for the first proof of a KEK of ring %s on token %s",
                   facts->config->ring, token_name(facts));
    return true;
}

static void say_unproven(const struct mend_facts *facts, char *ret_text, size_t size)
{
    (void)snprintf(ret_text, size,
                   "token %s does not prove the KEK of ring %s any more: see the log",
                   token_name(facts), facts->config->ring);
}

void mend_text(const struct mend_facts *facts, char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    if (facts->state == HEALTH_OK) {
        return;
    }
    if (!say_verdict(facts, ret_text, size) && !say_token(facts, ret_text, size) &&
        (facts->view->has_serving || !say_unread(facts, ret_text, size)) &&
        !say_ring(facts, ret_text, size) && !say_key(facts, ret_text, size)) {
        say_unproven(facts, ret_text, size);
    }
    span_end_whole(ret_text);
}

void mend_ailment(const struct mend_facts *facts, const struct mend_ailments *ailments,
                  char *ret_text, size_t size)
{
    ret_text[0] = '\0';
    if (facts->state != HEALTH_OK) {
        return;
    }
    if (has_text(facts->storing)) {
        (void)snprintf(ret_text, size, "%s", facts->storing);
    } else if (ailments->seed_outlived) {
        (void)snprintf(
            ret_text, size,
            "the seed that seals is older than seed_life: token %s opens with the KEK of ring %s, "
            "but makes no successor; see proof-failed in the log",
            token_name(facts), facts->config->ring);
    } else if (ailments->listing_outlived) {
        (void)snprintf(
            ret_text, size,
            "the keys of token %s cannot be listed, so a new KEK of ring %s goes unseen; see "
            "listing-failed in the log",
            token_name(facts), facts->config->ring);
    } else if (ailments->limit != NULL) {
        (void)snprintf(ret_text, size, "%s: see with ss -xp who is connected to %s",
                       ailments->limit, facts->config->listen.socket);
    } else {
        (void)say_unread(facts, ret_text, size);
    }
    span_end_whole(ret_text);
}
