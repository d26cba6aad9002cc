/*
 * key_id: names of KEKs. All derived from public facts, equal on every node.
 *   realm   = first 16 bytes of SHA-256("p11-kms realm v1" ‖ ring name)
 *   kek_id  = first 16 bytes of
 *             SHA-256("p11-kms kek-id v1" ‖ scheme ‖ u8 length ‖ CKA_ID ‖ fingerprint)
 *   key_id  = "p11-kms/1/<kek_id, 32 lower-case hex>/<activation, 8 hex>", what Kubernetes sees
 * The fingerprint is bound to the key's value: for AES one block of AES-CBC over 16 zero bytes with
 * KEY_FINGERPRINT_IV (first 16 bytes of SHA-256("p11-kms fingerprint v1")), made by the token
 * process.
 */
#ifndef KEYS_KEY_ID_H
#define KEYS_KEY_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "keys/envelope.h"

#define KEY_ID_TEXT_LEN 51u /* without NUL */
#define KEY_ID_HASH_LEN 71u /* "sha256:" and 64 digits, without NUL */

MUST_USE err_t key_id_realm(const char *ring, uint8_t ret_realm[ENVELOPE_REALM]);
/* cka_id: 1..255 bytes, else E_INVALID. */
MUST_USE err_t key_id_kek(uint8_t scheme, struct span cka_id, struct span fingerprint,
                          uint8_t ret_kek_id[KEK_ID_LEN]);
void key_id_text(const uint8_t kek_id[KEK_ID_LEN], uint32_t activation,
                 char ret_text[KEY_ID_TEXT_LEN + 1]);
/* True when text is exactly the key_id of this pair. */
bool key_id_matches(struct span text, const uint8_t kek_id[KEK_ID_LEN], uint32_t activation);
/* Strict inverse of key_id_text; E_INVALID. */
MUST_USE err_t key_id_parse(struct span text, uint8_t ret_kek_id[KEK_ID_LEN],
                            uint32_t *ret_activation);
/* How the API server names a key_id in its metrics and logs: "sha256:" and the hash in hex. */
MUST_USE err_t key_id_hash(struct span key_id, char ret_text[KEY_ID_HASH_LEN + 1]);
/* Lower-case hex with NUL: ret_text has 2 * bytes.len + 1. For ids, never for secrets. */
void key_id_hex(struct span bytes, char *ret_text);

#endif
