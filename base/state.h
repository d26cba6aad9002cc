/*
 * state: the state directory (/var/lib/p11-kms, 0700) and what lies in it. Nothing in it is secret,
 * but for the slow hash of a PIN that was refused, and all of it may be lost; only the PIN record
 * guards something (tries on the token). A file is replaced by temp, fsync, rename, fsync of the
 * folder; a log is appended to. Used by the supervisor and p11-kmsctl, which keep it on behalf of
 * the roles; the roles send and receive bytes and never see a path.
 */
#ifndef BASE_STATE_H
#define BASE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum state_file {
    STATE_CURRENT,  /* current.<realm>: the newest KEK ever served here */
    STATE_SEEDS,    /* seeds.<realm>: wrapped seeds opened here */
    /* health: last state and mend, for `p11-kmsctl status` and for HARD across restarts */
    STATE_HEALTH,
    /* pin.<serial>: the record of the PIN guard for one token; pin: that of an earlier build */
    STATE_PIN,
    STATE_FILES
};

#define STATE_SIZE_MAX (4u << 20) /* bytes of one file */
#define STATE_PATH_MAX 256u
#define STATE_NAME_MAX 64u
#define STATE_PART_MAX 33u /* of the name of a part, its NUL included */

struct state_dir {
    int fd; /* O_PATH-free directory descriptor, CLOEXEC; -1 when not open */
    char realm[33]; /* lower-case hex, part of two names */
    char path[STATE_PATH_MAX]; /* as it was opened */
};

/*
 * Opens (and with `create` makes, 0700) the directory; refuses one that is a link, owned by another
 * uid than ours or root, or writable by group or others. realm_hex: 32 characters.
 */
MUST_USE err_t state_open(const char *path, const char *realm_hex, bool create,
                          struct state_dir *ret_dir);
void state_close(struct state_dir *dir);

/*
 * A folder that is kept open may be moved, removed and made again meanwhile. False: its path is
 * known to name another folder now, or none; when that cannot be found out it counts as true.
 */
bool state_in_place(const struct state_dir *dir);
/*
 * False: the file that lock_fd holds is known to be gone from the folder; another process may lock
 * a new one.
 */
bool state_lock_in_place(const struct state_dir *dir, int lock_fd);
/* The same of the file that state_open_pin_lock opened. */
bool state_pin_lock_in_place(const struct state_dir *dir, int fd);

/*
 * The one writer: flock on `lock`, kept until the fd is closed. E_STATE when another process holds
 * it.
 */
MUST_USE err_t state_lock(const struct state_dir *dir, int *ret_lock_fd);
/*
 * The process id that the last holder of the lock wrote into it, for an error text; 0 when unknown.
 */
int64_t state_lock_holder(const struct state_dir *dir);

/*
 * flock, exclusive; whoever holds it may have been stopped, so only for so long. E_DEADLINE: it is
 * still held.
 */
MUST_USE err_t state_wait_lock(int fd, int64_t wait_ms);
/* A fresh descriptor on `pin.lock` (created 0600), CLOEXEC, for one process and its locks. */
MUST_USE err_t state_open_pin_lock(const struct state_dir *dir, int *ret_fd);

/*
 * The name of a file in the folder. `part`: 1 to 32 characters of lower-case hex, for a file that
 * is kept in parts; NULL or empty: the file itself. E_INVALID: there is no such file. The same
 * holds wherever a part is named.
 */
MUST_USE err_t state_file_name(const struct state_dir *dir, enum state_file file, const char *part,
                               char ret_name[STATE_NAME_MAX]);
/*
 * The next part that has anything in it, for whoever empties them all; in no order. E_NOT_FOUND:
 * none is left.
 */
MUST_USE err_t state_find_part(const struct state_dir *dir, enum state_file file,
                               char ret_part[STATE_PART_MAX]);
/*
 * The errno that stands for a failure of the folder or a file: 0 for none, EINVAL for one without
 * any.
 */
int state_errno(err_t err);
/*
 * A failure for people: "FOLDER/NAME: what failed: why: what to do about it". name "": the folder
 * itself. Cut to the room there is.
 */
void state_explain(const char *folder, const char *name, err_t err, char *ret_text, size_t size);

/* Read-only descriptor, CLOEXEC; *ret_fd = -1 when the file does not exist. */
MUST_USE err_t state_read_fd(const struct state_dir *dir, enum state_file file, const char *part,
                             int *ret_fd);

/*
 * Atomic replacement with the first `size` bytes of from_fd (a memfd); durable when it returns OK.
 * Waits 2 s for another process that stores, then E_SYSTEM(EWOULDBLOCK).
 */
MUST_USE err_t state_store(const struct state_dir *dir, enum state_file file, const char *part,
                           int from_fd, size_t size);

/*
 * Adds the first `size` bytes of from_fd to the end of a log (one whose row of base/state_table.h
 * has a length to grow to; others are E_DENIED, as a log is to state_store): all of them, durable
 * when it returns OK, or none. E_SYSTEM(EOVERFLOW): it would get too long. E_INVALID: it is no
 * regular file, or has a second name. A link is not followed. Waits as state_store does.
 */
MUST_USE err_t state_append(const struct state_dir *dir, enum state_file file, const char *part,
                            int from_fd, size_t size);

/*
 * Reads one small file whole (p11-kmsctl status). *ret_len <= room.len. E_NOT_FOUND when it does
 * not exist, E_LIMIT when it is longer than room.
 */
MUST_USE err_t state_read(const struct state_dir *dir, enum state_file file, const char *part,
                          struct span_mut room, size_t *ret_len);

/*
 * The two records that more than one program reads. Text lines "key=value" under a first line
 * "p11-kms <kind> 1"; a record that does not parse is E_INVALID and counts as absent.
 */
struct state_current {
    uint8_t kek_id[16];
    uint32_t not_before;
    uint32_t created;
};

struct state_health {
    char state[16];      /* START OK COAST SOFT HARD */
    int64_t since_s;     /* Unix seconds: in this state since */
    int64_t outage_s;    /* Unix seconds: the running outage began; 0 none */
    int64_t written_s;
    char key_id[64];     /* as reported to Kubernetes; empty when none */
    char mend[400];      /* what the operator should do; empty when OK */
};

/* Encode into room and say how long; E_LIMIT when it does not fit. */
MUST_USE err_t state_current_write(const struct state_current *record, struct span_mut room,
                                   size_t *ret_len);
MUST_USE err_t state_current_parse(struct span bytes, struct state_current *ret_record);
MUST_USE err_t state_health_write(const struct state_health *record, struct span_mut room,
                                  size_t *ret_len);
MUST_USE err_t state_health_parse(struct span bytes, struct state_health *ret_record);

#endif
