/*
 * pin_file: where the configuration says that the PIN is, and whether anything has changed there.
 */
#ifndef PKCS11_PIN_FILE_H
#define PKCS11_PIN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/config.h"
#include "base/err.h"
#include "base/secret.h"
#include "pkcs11/pin_record.h"

/*
 * What a PIN file looked like: changes with every rewrite, replacement or change of owner and mode.
 */
struct pin_look {
    bool there;
    struct stat stat;
};

/*
 * systemd copies a credential when it starts the service: a correction reaches nobody before the
 * next start.
 */
bool pin_file_is_credential(const struct config_token *config);
struct pin_look pin_file_look(const struct config_token *config);
bool pin_look_equal(const struct pin_look *a, const struct pin_look *b);
/* As pin_read, with the reason and the file's name for people in `why`. */
MUST_USE err_t pin_file_read(const struct config_token *config, struct secret **ret_pin,
                             struct pin_source *ret_source, char *why, size_t why_len);

#endif
