#include "server/front/files.h"

#include <stdlib.h>

#include "base/own.h"

void files_init(struct files *files, int control_fd, files_fate *on_fate, void *ctx)
{
    *files = (struct files){.control_fd = control_fd, .on_fate = on_fate, .ctx = ctx};
}

static void drop_next(struct files *files, enum state_file file)
{
    free(TAKE(files->each[file].next));
}

/* Nobody is left to offer it again. */
static void send_last(const struct files *files, enum state_file file)
{
    const uint8_t *next = files->each[file].next;
    if (next != NULL) {
        struct span bytes = span_of(next, files->each[file].next_len);
        (void)!failed(role_put_state(files->control_fd, file, bytes, role_sequence()));
    }
}

void files_done(struct files *files)
{
    for (int file = 0; file < STATE_FILES; file++) {
        send_last(files, (enum state_file)file);
        drop_next(files, (enum state_file)file);
    }
}

err_t files_ask(struct files *files, enum state_file file)
{
    const struct role_message message = {
        .kind = ROLE_STATE_GET, .file = file, .sequence = role_sequence()};
    TRY(role_send(files->control_fd, &message, -1));
    files->each[file].asked = message.sequence;
    return OK;
}

bool files_asking(const struct files *files)
{
    int file = 0;
    while (file < STATE_FILES && files->each[file].asked == 0) {
        file++;
    }
    return file < STATE_FILES;
}

static err_t send_now(struct files *files, enum state_file file, struct span bytes, int64_t now_ms)
{
    uint32_t sequence = role_sequence();
    TRY(role_put_state(files->control_fd, file, bytes, sequence));
    files->each[file].put = sequence;
    files->each[file].put_ms = now_ms;
    return OK;
}

static err_t keep_for_later(struct files *files, enum state_file file, struct span bytes)
{
    uint8_t *copy = malloc(bytes.len + 1);
    if (copy == NULL) {
        return FAIL_ERRNO("out of memory for a state file");
    }
    span_move(copy, bytes.ptr, bytes.len);
    drop_next(files, file);
    files->each[file].next = copy;
    files->each[file].next_len = bytes.len;
    return OK;
}

err_t files_put(struct files *files, enum state_file file, struct span bytes, int64_t now_ms)
{
    return files->each[file].put == 0 ? send_now(files, file, bytes, now_ms)
                                      : keep_for_later(files, file, bytes);
}

static void send_next(struct files *files, enum state_file file, int64_t now_ms)
{
    CLEANUP(own_free_p) uint8_t *next = TAKE(files->each[file].next);
    if (next == NULL) {
        return;
    }
    err_t err = send_now(files, file, span_of(next, files->each[file].next_len), now_ms);
    if (failed(err)) {
        files->on_fate(files->ctx, file, err);
    }
}

/* After a failure what waits would fail alike, and is older than what will be offered again. */
static void settle(struct files *files, enum state_file file, err_t err, int64_t now_ms)
{
    files->each[file].put = 0;
    if (failed(err)) {
        drop_next(files, file);
    }
    files->on_fate(files->ctx, file, err);
    send_next(files, file, now_ms);
}

bool files_answered(struct files *files, const struct role_message *message, int64_t now_ms)
{
    if (message->file >= STATE_FILES || message->sequence == 0) {
        return false;
    }
    enum state_file file = (enum state_file)message->file;
    if (message->kind == ROLE_STATE_DATA && message->sequence == files->each[file].asked) {
        files->each[file].asked = 0;
        return true;
    }
    if (message->kind != ROLE_STATE_STORED || message->sequence != files->each[file].put) {
        return false;
    }
    settle(files, file,
           message->value == 0
               ? OK
               : FAIL_DETAIL(E_SYSTEM, message->value, "the keeper could not store a state file"),
           now_ms);
    return true;
}

void files_tick(struct files *files, int64_t now_ms)
{
    for (int i = 0; i < STATE_FILES; i++) {
        enum state_file file = (enum state_file)i;
        if (files->each[file].put != 0 && now_ms - files->each[file].put_ms >= FILES_LOST_MS) {
            settle(files, file,
                   FAIL_DETAIL(E_SYSTEM, ETIMEDOUT, "the keeper did not say what it stored"),
                   now_ms);
        }
    }
}
