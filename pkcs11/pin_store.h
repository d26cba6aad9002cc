/*
 * pin_store: the record of one token, which our keeper has on disk for us as "pin.<serial as hex>".
 * To be used under pin_lock, but for pin_store_is_ordered.
 *
 * Where a token has none yet, the file "pin" takes its place: an earlier build kept all tokens in
 * it, and p11-kmsctl pin-retry leaves its order there for a token that it cannot know of. What is
 * stored goes into the token's own file; "pin" is written only when an order was carried out, and
 * when a login made the hashes in it outdated.
 */
#ifndef PKCS11_PIN_STORE_H
#define PKCS11_PIN_STORE_H

#include <stdbool.h>

#include "base/err.h"
#include "pkcs11/pin_record.h"

struct pin_store {
    int control_fd;     /* from control_start */
    const char *serial; /* of the token, PIN_RECORD_SERIAL bytes at most */
};

/*
 * What is not there or no record of ours is what pin_record_parse makes of it; a salt is drawn
 * where none is. *ret_ordered: an operator ordered one more try. E_SYSTEM: it cannot be read.
 */
MUST_USE err_t pin_store_load(const struct pin_store *store, struct pin_record *ret_record,
                              bool *ret_ordered);
/* On disk when it returns OK. */
MUST_USE err_t pin_store_save(const struct pin_store *store, const struct pin_record *record);
/* After pin_store_save: what was ordered is carried out, also where the order was for any token. */
MUST_USE err_t pin_store_end_order(const struct pin_store *store, const struct pin_record *record);
/*
 * After a login that succeeded, and pin_store_save: no hash of a PIN of this token stays where an
 * earlier build kept it.
 */
MUST_USE err_t pin_store_end_earlier(const struct pin_store *store);
/* One more try is ordered, and nobody has carried it out yet. */
bool pin_store_is_ordered(const struct pin_store *store);

#endif
