/*
 * wrap_gcm: scheme 1, AES-256-GCM on the token with an IV from this host, single part.
 *
 *   1         iv_len (12 or 16; 12 in all we write)
 *   iv_len    IV
 *   n         ciphertext
 *   16        tag
 *
 * A module may fill its output and then fail, so outputs are wiped on every error.
 */
#ifndef PKCS11_WRAP_GCM_H
#define PKCS11_WRAP_GCM_H

#include "pkcs11/wrap.h"

#define WRAP_GCM_OVERHEAD 29u /* bytes that a wrap adds */
#define WRAP_GCM_DATA_MAX 1024u

/* CKR_GENERAL_ERROR of C_Decrypt may be a wrong tag or an outage. */
extern const struct wrap_scheme wrap_gcm;

#endif
