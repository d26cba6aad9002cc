/*
 * event: every line that the log can hold, one row each. Log, metrics and audit trail read this
 * table, and docs/events.md says what each means to an operator; a lint test compares the two.
 *
 *   name      what the line is called, for ever: people search for it, and alert on it
 *   level     of the line; a few are written at another one when they are worse than usual
 *   counter   the total that it adds to, over all processes; NULL: none
 *   audited   belongs into the audit trail: who used what, and what became of the keys
 *
 * How often each one happened is counted in the process, written or not. Thread safe.
 */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* clang-format off */
#define EVENTS(X) \
    X(ACCEPT_FAILED, "accept-failed", ERROR, "connection_failures", false) \
    X(ALARM, "alarm", WARN, NULL, false) \
    X(CALL_REFUSED, "call-refused", DEBUG, NULL, false) \
    X(CONNECTION_FAILED, "connection-failed", ERROR, "connection_failures", false) \
    X(CONNECTIONS_ENDED, "connections-ended", INFO, NULL, false) \
    X(CONTROL_BROKEN, "control-broken", ERROR, NULL, false) \
    X(DECRYPT_REFUSED, "decrypt-refused", WARN, "decrypts_refused", true) \
    X(DRAINING, "draining", INFO, NULL, false) \
    X(ENDED, "ended", INFO, NULL, true) \
    X(FRONT_FAILED, "front-failed", ERROR, NULL, false) \
    X(KEEPER_GONE, "keeper-gone", INFO, NULL, false) \
    X(KEEPER_MESSAGE_IGNORED, "keeper-message-ignored", WARN, NULL, false) \
    X(KEEPER_NOT_TOLD, "keeper-not-told", WARN, NULL, false) \
    X(KEK_NOT_LISTED, "kek-not-listed", WARN, NULL, true) \
    X(KEY_IGNORED, "key-ignored", WARN, NULL, false) \
    X(KEY_REFUSED, "key-refused", ERROR, "keys_refused", true) \
    X(LIMIT_BITES, "limit-bites", WARN, "limits_bitten", false) \
    X(LIMIT_OVER, "limit-over", INFO, NULL, false) \
    X(LISTING_FAILED, "listing-failed", WARN, "listing_failures", false) \
    X(MEND, "mend", WARN, NULL, false) \
    X(MESSAGE_IGNORED, "message-ignored", WARN, NULL, false) \
    X(PEER_ACCEPTED, "peer-accepted", DEBUG, NULL, false) \
    X(PEER_CLOSED, "peer-closed", DEBUG, NULL, false) \
    X(PEER_LEAVES, "peer-leaves", DEBUG, NULL, false) \
    X(PEER_REFUSED, "peer-refused", WARN, "peers_refused", true) \
    X(PIN_LOCK_NOT_GIVEN, "pin-lock-not-given", WARN, NULL, false) \
    X(PROOF_FAILED, "proof-failed", WARN, "proof_failures", true) \
    X(RELOAD_REFUSED, "reload-refused", ERROR, "reloads_refused", true) \
    X(RELOADED, "reloaded", INFO, "reloads", true) \
    X(ROLE_CANNOT_START, "role-cannot-start", ERROR, NULL, false) \
    X(ROLE_ENDED, "role-ended", INFO, "role_ends", false) \
    X(ROLE_ENDED_ALREADY, "role-ended-already", INFO, NULL, false) \
    X(ROLE_KILLED, "role-killed", WARN, "role_kills", true) \
    X(ROLE_NOT_STARTED, "role-not-started", ERROR, NULL, false) \
    X(ROLE_NOT_TOLD, "role-not-told", WARN, NULL, false) \
    X(ROLE_STARTED, "role-started", INFO, NULL, false) \
    X(RUNS_AS_ROOT, "runs-as-root", WARN, NULL, true) \
    X(SERVING, "serving", INFO, NULL, false) \
    X(SERVING_SWITCHED, "serving-switched", INFO, "serving_switches", true) \
    X(SOCKET_BOUND_AGAIN, "socket-bound-again", WARN, NULL, false) \
    X(SOCKET_LOST, "socket-lost", ERROR, NULL, false) \
    X(SOCKET_NOT_TAKEN, "socket-not-taken", ERROR, NULL, false) \
    X(STARTED, "started", INFO, NULL, true) \
    X(STATE_CHANGED, "state-changed", INFO, NULL, true) \
    X(STATE_FOLDER_LOST, "state-folder-lost", ERROR, NULL, false) \
    X(STATE_FOLDER_NEW, "state-folder-new", WARN, NULL, true) \
    X(STATE_IGNORED, "state-ignored", WARN, NULL, false) \
    X(STATE_KEPT_AGAIN, "state-kept-again", INFO, NULL, false) \
    X(STATE_NOT_KEPT, "state-not-kept", WARN, "state_failures", false) \
    X(STATE_NOT_SERVED, "state-not-served", WARN, "state_failures", false) \
    X(TOKEN_CLIENT_NOT_TAKEN, "token-client-not-taken", WARN, NULL, false) \
    X(TOKEN_CLIENT_STUCK, "token-client-stuck", ERROR, NULL, false) \
    X(TOKEN_ENDS, "token-ends", ERROR, NULL, false) \
    X(TOKEN_GENERATE_FAILED, "token-generate-failed", ERROR, "token_generate_failures", true) \
    X(TOKEN_HUNG, "token-hung", ERROR, "token_hangs", false) \
    X(TOKEN_KEY_BAD, "token-key-bad", WARN, NULL, true) \
    X(TOKEN_KEY_GENERATED, "token-key-generated", INFO, NULL, true) \
    X(TOKEN_KEY_MISNAMED, "token-key-misnamed", ERROR, NULL, true) \
    X(TOKEN_KEY_UNREADABLE, "token-key-unreadable", WARN, NULL, false) \
    X(TOKEN_KEY_WITHOUT_ID, "token-key-without-id", WARN, NULL, false) \
    X(TOKEN_LOGIN, "token-login", INFO, "token_logins", true) \
    X(TOKEN_LOGIN_FAILED, "token-login-failed", ERROR, "token_login_failures", true) \
    X(TOKEN_LOST, "token-lost", ERROR, "token_losses", false) \
    X(TOKEN_MODULE_LIES, "token-module-lies", ERROR, "token_lies", true) \
    X(TOKEN_NOT_HANDED_OVER, "token-not-handed-over", WARN, NULL, false) \
    X(TOKEN_NOT_KEPT, "token-not-kept", WARN, NULL, false) \
    X(TOKEN_NOT_WATCHED, "token-not-watched", ERROR, NULL, false) \
    X(TOKEN_OPENED_WRONGLY, "token-opened-wrongly", ERROR, "token_wrong_openings", true) \
    X(TOKEN_PHASE, "token-phase", INFO, NULL, false) \
    X(TOKEN_PIN_LOCK_NOT_TAKEN, "token-pin-lock-not-taken", WARN, NULL, false) \
    X(TOKEN_PIN_RECORD_NOT_KEPT, "token-pin-record-not-kept", WARN, NULL, false) \
    X(TOKEN_PIN_REFUSED, "token-pin-refused", ERROR, "token_pins_refused", true) \
    X(TOKEN_SESSIONS_FEW, "token-sessions-few", WARN, NULL, false) \
    X(TOKEN_STATUS, "token-status", INFO, NULL, false) \
    X(WAITING_FOR_TOKEN_PROCESS, "waiting-for-token-process", WARN, NULL, false)
/* clang-format on */

#define EVENT_ID_(id_, name_, level_, counter_, audited_) EVENT_##id_,
enum event { EVENTS(EVENT_ID_) EVENTS_N };

struct event_row {
    const char *name;
    enum log_level level;
    const char *counter;
    bool audited;
};

const struct event_row *event_row(enum event event);

/* It happened; for who does not log each one, see log_limit.h. */
void event_note(enum event event);
/* How often it has happened in this process. */
uint64_t event_count(enum event event);

#endif
