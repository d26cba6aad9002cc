/*
 * pin_store: the record, which our keeper has on disk for us. To be used under pin_lock, but for
 * pin_store_is_ordered.
 */
#ifndef PKCS11_PIN_STORE_H
#define PKCS11_PIN_STORE_H

#include <stdbool.h>

#include "base/err.h"
#include "pkcs11/pin_record.h"

/*
 * control_fd: from control_start. What is not there or no record of ours is what pin_record_parse
 * makes of it; a salt is drawn where none is. *ret_ordered: an operator ordered one more try.
 * E_SYSTEM: it cannot be read.
 */
MUST_USE err_t pin_store_load(int control_fd, struct pin_record *ret_record, bool *ret_ordered);
/* On disk when it returns OK. */
MUST_USE err_t pin_store_save(int control_fd, const struct pin_record *record);
/* One more try is ordered, and nobody has carried it out yet. */
bool pin_store_is_ordered(int control_fd);

#endif
