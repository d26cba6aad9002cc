/*
 * workplace: what a command needs to work on a token: the right user, the state directory, a
 * session.
 */
#ifndef CTL_WORKPLACE_H
#define CTL_WORKPLACE_H

#include "base/state.h"
#include "ctl/ctl.h"
#include "ctl/ring_view.h"
#include "ctl/token_session.h"

struct workplace {
    const struct config *config;
    struct state_dir state;
    struct role_program program;   /* of the token process; without a name while it is not open */
    struct token_session *session; /* NULL unless opened with a token */
};

/*
 * As root: becomes the owner of state_dir, so that whatever is written stays readable for the
 * daemon. Gives up every privilege; opens the state directory, or makes it. E_DENIED: not as this
 * user.
 */
MUST_USE err_t workplace_open_state(const struct config *config, struct workplace *ret_workplace);
/* The same to read in it only; it is not made. */
MUST_USE err_t workplace_look(const struct config *config, struct workplace *ret_workplace);
/*
 * The same with a logged-in token; says on ctl->err what to mend. Refuses a clock before our build.
 */
MUST_USE err_t workplace_open(const struct ctl *ctl, struct workplace *ret_workplace);
void workplace_close(struct workplace *workplace);

/* A complete listing of the ring. */
MUST_USE err_t workplace_view(const struct workplace *workplace, struct ring_view *ret_view);
/*
 * A fresh CKA_ID, the ring's name and the time that the HSM may take; other times are the caller's.
 */
MUST_USE err_t workplace_name_key(const struct workplace *workplace, struct ipc_generate *generate);
/*
 * The key with this CKA_ID, whatever its label, by a listing; with a new token process when the one
 * there is does not answer. E_NOT_FOUND: the token answered, and has none. E_UNAVAILABLE: one
 * of its keys cannot be read, and may be the one.
 */
MUST_USE err_t workplace_find(const struct ctl *ctl, struct workplace *workplace, struct span id,
                              struct ipc_key *ret_key);
/* How the round trip of a key went: "ok" or what failed. */
const char *workplace_proof(const struct workplace *workplace, const struct ipc_key_ref *key);

#endif
