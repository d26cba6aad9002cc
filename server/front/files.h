/*
 * files: the state files of the front, which its keeper keeps for it. The control socket drops what
 * does not fit, both ways, so no more than one content of each file is on its way: a newer one
 * waits for the answer to it, and the newest of those is sent then. What was refused or lost is not
 * sent again from here: whoever offered it is told, and offers what is the newest by then.
 */
#ifndef SERVER_FRONT_FILES_H
#define SERVER_FRONT_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/role.h"
#include "base/span.h"
#include "base/state.h"

#define FILES_LOST_MS 30000 /* without an answer: longer than a keeper with a slow disk takes */

/*
 * What became of a content that was put. Called from files_answered and files_tick; puts nothing
 * itself, or what still waits would follow what is newer.
 */
typedef void files_fate(void *ctx, enum state_file file, err_t err);

struct files {
    int control_fd;
    void *ctx;
    files_fate *on_fate;
    struct {
        uint32_t asked; /* sequence of a ROLE_STATE_GET without its answer; 0: none */
        uint32_t put;   /* sequence of a ROLE_STATE_PUT without its answer; 0: none */
        int64_t put_ms; /* when that was sent */
        uint8_t *next;  /* what waits for the answer; NULL: nothing */
        size_t next_len;
    } each[STATE_FILES];
};

/* Nothing is on its way. control_fd stays the caller's. */
void files_init(struct files *files, int control_fd, files_fate *on_fate, void *ctx);
/* What waits is sent without another word: a keeper hears out a role that ends. */
void files_done(struct files *files);

/* Asks for a file, once. */
MUST_USE err_t files_ask(struct files *files, enum state_file file);
/* True while an answer to files_ask is still to come. */
bool files_asking(const struct files *files);

/*
 * Has this kept as the new content; the bytes are copied. An error: it was not sent, and on_fate is
 * not called for it.
 */
MUST_USE err_t files_put(struct files *files, enum state_file file, struct span bytes,
                         int64_t now_ms);
/*
 * A ROLE_STATE_DATA or ROLE_STATE_STORED. False: it answers nothing that is waited for, as when it
 * was taken for lost.
 */
bool files_answered(struct files *files, const struct role_message *message, int64_t now_ms);
/* Takes for lost what has no answer for too long. Now and then. */
void files_tick(struct files *files, int64_t now_ms);

#endif
