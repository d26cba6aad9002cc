/*
 * token_session: a token process of p11-kmsctl's own, and the blocking calls that the subcommands
 * make. It is the keeper of that process (base/role.h): serves its PIN record, answers nothing
 * else.
 */
#ifndef CTL_TOKEN_SESSION_H
#define CTL_TOKEN_SESSION_H

#include <stdbool.h>
#include <stdio.h>

#include "base/config.h"
#include "base/err.h"
#include "base/own.h"
#include "base/role.h"
#include "base/secret.h"
#include "base/state.h"
#include "token/client.h"

struct token_session;

/*
 * Starts `program` (p11-kms-token, opened before this process gave up rights) and waits up to
 * start_timeout until it is logged in. On failure *ret_mend says what the operator should do (""
 * when nothing is known); at least sizeof(ipc_status.text) bytes.
 */
MUST_USE err_t token_session_open(const struct config *config, const struct role_program *program,
                                  const struct state_dir *state, FILE *progress, char *ret_mend,
                                  struct token_session **ret_session);
/*
 * Ends the process and waits for it; a login that is under way has 5 s to be answered and written
 * down.
 */
void token_session_close(struct token_session *session);
DEFINE_CLEANUP(struct token_session *, token_session_close)

const struct ipc_status *token_session_status(const struct token_session *session);

/* The keys are the session's, until its next listing. */
MUST_USE err_t token_session_list(struct token_session *session, const struct ipc_list *list,
                                  const struct ipc_key **ret_keys, size_t *ret_n);
/*
 * Waits as long as generate->limit_s allows, or until signal_fd can be read, and tells `progress`
 * every few seconds. After an error the key may have been made all the same.
 */
MUST_USE err_t token_session_generate(struct token_session *session,
                                      const struct ipc_generate *generate, int signal_fd,
                                      FILE *progress, struct ipc_key *ret_key);
/* Wraps 32 random bytes, unwraps them again and compares. E_CRYPTO when they differ. */
MUST_USE err_t token_session_prove(struct token_session *session, const struct ipc_key_ref *key);

#endif
