/*
 * token_rig: the starter and the client of one real token process, for tests against real modules.
 * Everything lies in a temporary folder: the token, the state directory, the PIN. One thread: it
 * serves the state requests of the process whenever it waits for frames. Any trouble of its own
 * fails the test.
 */
#ifndef TESTS_TOKEN_RIG_H
#define TESTS_TOKEN_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/config.h"
#include "base/state.h"
#include "token/ipc.h"

#define RIG_KEYS 64u
#define RIG_RING "test"
#define PATIENCE 4 /* times longer on a busy machine under a sanitizer; no test is a clock */

struct token_rig {
    char folder[64];
    struct config config;
    struct state_dir state;
    int control_fd;
    int service_fd;
    pid_t pid; /* 0: none runs */
    bool greeted;
    uint32_t call_ms; /* time that each request is given */
    uint64_t call;
    unsigned puts;       /* state files stored for this process */
    /* SIGKILL once so many are, and nothing that it still says is heard; 0: never */
    unsigned kill_at_put;
    unsigned strays; /* frames, told changes of phase left out, that answered none of our calls */
};

struct rig_reply {
    struct ipc_header header;
    uint8_t bytes[IPC_PAYLOAD_MAX];
    struct span data;
};

struct rig_listing {
    uint32_t outcome;
    size_t n;
    struct ipc_key keys[RIG_KEYS];
};

/* A fresh SoftHSM token; NSS softokn. Nothing runs yet. */
struct token_rig *rig_new_softhsm(void);
struct token_rig *rig_new_nss(void);
/* Ends the process and removes the folder. */
void rig_free(struct token_rig *rig);
/*
 * The module stands behind the shim from now on; log and control file are "shim.log",
 * "shim.control".
 */
void rig_use_shim(struct token_rig *rig);
/* For cmocka: a SoftHSM token behind the shim, not started; and the end of any rig. */
int rig_set_up_shim(void **state);
int rig_tear_down(void **state);
/* Text of the control file; NULL: none. */
void rig_shim(struct token_rig *rig, const char *orders);
/* How often the shim logged this function. */
unsigned rig_shim_count(struct token_rig *rig, const char *function);

/* "folder/name" */
void rig_path(const struct token_rig *rig, const char *name, char *to, size_t to_len);
/* Replaces the file, 0600. */
void rig_write(struct token_rig *rig, const char *name, const char *text);
/* Reads a small text file, NUL-terminated. */
void rig_read(struct token_rig *rig, const char *name, char *to, size_t to_len);

void rig_start(struct token_rig *rig);
/* Closes its sockets and waits for its end. Returns the wait status. */
int rig_stop(struct token_rig *rig);
/* Waits for it to end by itself. Returns the exit status, or 128 + signal. */
int rig_wait_end(struct token_rig *rig, int timeout_ms);

/*
 * Our end of the token socket closes, and the process is given another, as after a front's death.
 */
void rig_change_client(struct token_rig *rig);
/* Serves state until a frame can be read (true), or the time is up or the process gone (false). */
bool rig_wait_frame(struct token_rig *rig, int64_t until_ms);
/* Serves state requests for so long. */
void rig_serve(struct token_rig *rig, int ms);
/* Asks, and does not wait for the answer. */
void rig_ask_unwrap(struct token_rig *rig, const struct ipc_key_ref *key, const char *aad,
                    struct span data);

struct ipc_status rig_status(struct token_rig *rig);
/* Fails the test when the phase does not come in time. */
struct ipc_status rig_wait_phase(struct token_rig *rig, enum ipc_phase phase, int timeout_ms);
/* rig_start and ready. */
void rig_start_ready(struct token_rig *rig);

/* One request, one reply. False: the process ended instead. */
bool rig_call(struct token_rig *rig, enum ipc_verb verb, struct span payload,
              struct rig_reply *ret_reply);
/* *ret_listing.outcome IPC_OK with all keys, or another. False: the process ended. */
bool rig_list_as(struct token_rig *rig, const struct ipc_list *ask,
                 struct rig_listing *ret_listing);
static inline bool rig_list(struct token_rig *rig, bool all, struct rig_listing *ret_listing)
{
    const struct ipc_list ask = {.ring = RIG_RING, .all = all};
    return rig_list_as(rig, &ask, ret_listing);
}
struct ipc_key rig_generate(struct token_rig *rig, uint8_t id);
/*
 * Wrap and unwrap; the outcome, and the result in *ret_reply. Fails the test when the process ends.
 */
enum ipc_outcome rig_crypt(struct token_rig *rig, enum ipc_verb verb, const struct ipc_key_ref *key,
                           const char *aad, struct span data, struct rig_reply *ret_reply);

/* Runs a program, its output thrown away, and returns its wait status. */
int rig_try(const char *const *argv, const char *const *env);
/* The same; fails the test when the program fails. */
void rig_run(const char *const *argv, const char *const *env);

#endif
