/*
 * crypt: the IPC_WRAP and IPC_UNWRAP verbs: a patient ladder, and when wrapped bytes are bad. A
 * failure is not a verdict: they are bad only
 *
 *   when the token refused them twice with a code that means it, and refuses its canary under
 *   another AAD with that very code; or
 *   when it refused them 7 times with one code, and between the last 6 tries, further and further
 *   apart, the same key opened its canary each time (2 to 4 times, so that no rhythm of the token
 *   can fit) and refused it under another AAD with that code.
 *
 * One canary that does not open, or another code, and the counting begins anew. Whatever else fails
 * is tried again until the call's time is over, and is then an outage. Bytes beside which a canary
 * has opened when the time is over are none: the token works, and is only too slow for a verdict.
 */
#ifndef PKCS11_CRYPT_H
#define PKCS11_CRYPT_H

#include "base/err.h"
#include "base/span.h"
#include "pkcs11/request.h"
#include "pkcs11/session.h"

/*
 * request: of IPC_WRAP or IPC_UNWRAP. out: room in the arena for the result. deadline_ms:
 * CLOCK_MONOTONIC. E_INVALID: this blob never opens, for certain; E_NOT_FOUND: no such key;
 * E_TOKEN; E_UNAVAILABLE: no time for a verdict; E_UNSUPPORTED: this scheme, or how the token does
 * it.
 */
MUST_USE err_t crypt_do(struct session *session, const struct request *request, int64_t deadline_ms,
                        struct span_mut out, size_t *ret_len);

#endif
