/*
 * kms: this room as front/main builds and drives it: one service over one token client. Everything
 * it has to say to the outside goes through kms_outputs; replies to calls go through
 * service_events.
 */
#ifndef SERVER_KMS_KMS_H
#define SERVER_KMS_KMS_H

#include <stdint.h>

#include "base/config.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"
#include "base/state.h"
#include "server/kms/call.h"
#include "server/kms/outputs.h"

struct service;

/* The config is copied. Needs the arena (secret_init). */
MUST_USE err_t service_new(const struct config *config, const struct service_events *events,
                           const struct kms_outputs *outputs, struct service **ret_service);
/* Pending calls are forgotten without an answer. */
void service_free(struct service *service);
DEFINE_CLEANUP(struct service *, service_free)

/*
 * What the state directory keeps, then service_start, before anything else. A file that does not
 * parse is logged and ignored. An absent one is not given.
 */
void service_remember(struct service *service, enum state_file file, struct span bytes);
void service_start(struct service *service);

/*
 * What became of what put_state took. What could not be stored is offered again, not sooner than in
 * 20 s; it is said once, and again for another reason or when it is stored.
 */
void service_stored(struct service *service, enum state_file file, err_t err);
/*
 * Why a state file (its enum state_file) or the whole folder (STATE_FILES) takes nothing: it stands
 * in the mend until `why` is empty. Of the folder that says that a new one is there: all that is
 * remembered is offered again.
 */
void service_storing(struct service *service, unsigned what, const char *why);

/* A new token process: takes the descriptor. */
void service_token_attach(struct service *service, int fd);
/* Descriptor to watch for reading; -1 while there is no token process. */
int service_token_fd(const struct service *service);
void service_token_readable(struct service *service);

/* Does what is due. Call it at service_next_ms, and before sleeping when that has passed. */
void service_tick(struct service *service);
/* CLOCK_MONOTONIC ms of the next thing to do. */
int64_t service_next_ms(const struct service *service);

/* A config that config_fixed_difference accepted. */
void service_reload(struct service *service, const struct config *config);

#endif
