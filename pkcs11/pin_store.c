#include "pkcs11/pin_store.h"

#include <stdint.h>
#include <sys/random.h>

#include "base/role.h"
#include "pkcs11/pin_record_scan.h"

#define FOR_ANY_TOKEN NULL

/* The bytes of a file. */
struct found {
    bool there;
    size_t len;
    uint8_t bytes[PIN_RECORD_BYTES];
};

/* A token without a serial has that of no other: a zero byte. */
static void name_part(const char *serial, char to[STATE_PART_MAX])
{
    static const char digits[] = "0123456789abcdef";
    struct span bytes = span_of(serial, serial[0] == '\0' ? 1 : span_of_text(serial).len);
    size_t n = 0;
    for (size_t i = 0; i < bytes.len && n + 2 < STATE_PART_MAX; i++) {
        to[n++] = digits[bytes.ptr[i] >> 4];
        to[n++] = digits[bytes.ptr[i] & 15];
    }
    to[n] = '\0';
}

static err_t get(int control_fd, const char *part, struct found *ret_found)
{
    struct span_mut room = span_mut_of(ret_found->bytes, sizeof(ret_found->bytes));
    size_t len = 0;
    err_t err = role_get_state_wait(control_fd, STATE_PIN, part, room, &len);
    if (err.code == E_LIMIT || err.code == E_INVALID) {
        /* Not one of ours: a byte that does not parse stands for it. */
        ret_found->bytes[0] = 0;
        len = 1;
    } else if (failed(err) && err.code != E_NOT_FOUND) {
        return err;
    }
    ret_found->there = err.code != E_NOT_FOUND;
    ret_found->len = len;
    return OK;
}

static err_t find(const struct pin_store *store, struct found *ret_found)
{
    char part[STATE_PART_MAX];
    name_part(store->serial, part);
    TRY(get(store->control_fd, part, ret_found));
    return ret_found->there ? OK : get(store->control_fd, FOR_ANY_TOKEN, ret_found);
}

static bool is_order(const struct found *found)
{
    return found->there && found->len == 0;
}

err_t pin_store_load(const struct pin_store *store, struct pin_record *ret_record,
                     bool *ret_ordered)
{
    struct found found;
    TRY(find(store, &found));
    pin_record_parse(span_of(found.bytes, found.len), store->serial, ret_record);
    *ret_ordered = is_order(&found);
    if (!ret_record->has_salt) {
        if (getrandom(ret_record->salt, PIN_RECORD_SALT, 0) != (ssize_t)PIN_RECORD_SALT) {
            return FAIL_ERRNO("getrandom");
        }
        ret_record->has_salt = true;
    }
    return OK;
}

static err_t put(const struct pin_store *store, const char *part, const struct pin_record *record)
{
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len = 0;
    TRY(pin_record_write(record, store->serial, span_mut_of(bytes, sizeof(bytes)), &len));
    return role_put_state_wait(store->control_fd, STATE_PIN, part, span_of(bytes, len));
}

err_t pin_store_save(const struct pin_store *store, const struct pin_record *record)
{
    char part[STATE_PART_MAX];
    name_part(store->serial, part);
    return put(store, part, record);
}

/* A record that says nothing of any token takes the place of the empty one. */
err_t pin_store_end_order(const struct pin_store *store, const struct pin_record *record)
{
    struct found found;
    struct pin_record nothing = {.has_salt = true};
    TRY(get(store->control_fd, FOR_ANY_TOKEN, &found));
    span_move(nothing.salt, record->salt, PIN_RECORD_SALT);
    return is_order(&found) ? put(store, FOR_ANY_TOKEN, &nothing) : OK;
}

/* "failed=<serial> …" of form 2, "entry=<serial> …" of form 1. */
static bool has_own_hash(struct span line, const char *serial)
{
    enum scan_whose whose = SCAN_OTHER;
    struct cursor c = cursor_of(line);
    struct span kind = scan_until(&c, '=');
    return (span_equal(kind, span_of_text("failed")) || span_equal(kind, span_of_text("entry"))) &&
           scan_whose(&c, serial, &whose) && whose == SCAN_OWN;
}

err_t pin_store_end_earlier(const struct pin_store *store)
{
    struct found found;
    uint8_t bytes[PIN_RECORD_BYTES];
    struct writer rest = writer_of(span_mut_of(bytes, sizeof(bytes)));
    TRY(get(store->control_fd, FOR_ANY_TOKEN, &found));
    struct cursor c = cursor_of(span_of(found.bytes, found.len));
    while (c.rest.len > 0) {
        struct span line = scan_until(&c, '\n');
        if (!has_own_hash(line, store->serial)) {
            writer_bytes(&rest, line);
            writer_u8(&rest, '\n');
        }
    }
    return rest.len < found.len ? role_put_state_wait(store->control_fd, STATE_PIN, FOR_ANY_TOKEN,
                                                      writer_done(&rest))
                                : OK;
}

bool pin_store_is_ordered(const struct pin_store *store)
{
    struct found found;
    return !failed(find(store, &found)) && is_order(&found);
}
