#include "pkcs11/pin_store.h"

#include <sys/random.h>

#include "base/role.h"

/* *ret_there false: no record at all, a node's first start. */
static err_t get(int control_fd, struct span_mut room, size_t *ret_len, bool *ret_there)
{
    size_t len = 0;
    err_t err = role_get_state_wait(control_fd, STATE_PIN, NULL, room, &len);
    if (err.code == E_LIMIT || err.code == E_INVALID) {
        /* Not one of ours: a byte that does not parse stands for it. */
        room.ptr[0] = 0;
        len = 1;
    } else if (failed(err) && err.code != E_NOT_FOUND) {
        return err;
    }
    *ret_there = err.code != E_NOT_FOUND;
    *ret_len = len;
    return OK;
}

err_t pin_store_load(int control_fd, struct pin_record *ret_record, bool *ret_ordered)
{
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len = 0;
    bool there = false;
    TRY(get(control_fd, span_mut_of(bytes, sizeof(bytes)), &len, &there));
    pin_record_parse(span_of(bytes, len), ret_record);
    *ret_ordered = there && len == 0;
    if (!ret_record->has_salt) {
        if (getrandom(ret_record->salt, PIN_RECORD_SALT, 0) != (ssize_t)PIN_RECORD_SALT) {
            return FAIL_ERRNO("getrandom");
        }
        ret_record->has_salt = true;
    }
    return OK;
}

err_t pin_store_save(int control_fd, const struct pin_record *record)
{
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len = 0;
    TRY(pin_record_write(record, span_mut_of(bytes, sizeof(bytes)), &len));
    TRY(role_put_state_wait(control_fd, STATE_PIN, NULL, span_of(bytes, len)));
    return OK;
}

bool pin_store_is_ordered(int control_fd)
{
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len = 0;
    bool there = false;
    err_t err = get(control_fd, span_mut_of(bytes, sizeof(bytes)), &len, &there);
    return !failed(err) && there && len == 0;
}
