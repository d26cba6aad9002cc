/*
 * find: which token, and which objects on it. A token is known by label and serial, never by its
 * slot: slot ids move.
 */
#ifndef PKCS11_FIND_H
#define PKCS11_FIND_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"
#include "pkcs11/module.h"
#include "pkcs11/session.h"
#include "pkcs11/uri.h"

struct token {
    CK_SLOT_ID slot;
    CK_FLAGS flags;
    /* bytes of a PIN, as the token says; maximum 0, or below the minimum: not told */
    CK_ULONG pin_min;
    CK_ULONG pin_max;
    char label[33];
    char serial[17];
    char model[17];
    char manufacturer[33];
};

/*
 * The one initialised token that the URI matches. E_NOT_FOUND: none or several; `why` lists the
 * tokens that are there, and the slots that fail. E_TOKEN: the module cannot say. E_PROTOCOL: it
 * lies, see lie.h.
 */
MUST_USE err_t find_token(const struct module *module, const struct uri *uri,
                          struct token *ret_token, char *why, size_t why_len);
/* Reads the flags anew. E_TOKEN, or E_NOT_FOUND when another token is in the slot. */
MUST_USE err_t find_token_flags(const struct module *module, const struct token *token,
                                CK_FLAGS *ret_flags);

/*
 * The same, asked for up to a second: SoftHSM rewrites a token's file when any process logs in, and
 * shows no token to whoever reads it meanwhile.
 */
MUST_USE err_t find_token_patiently(const struct module *module, const struct token *token,
                                    CK_FLAGS *ret_flags);
/* Time between two looks that must agree before something counts as gone. */
#define FIND_LOOKS   4
#define FIND_LOOK_MS 250

/* A blank-padded field as text: trailing blanks cut, then as span_to_text shows it. */
void find_text(char *to, size_t to_len, struct span padded);

/* One attribute, asked for again when the failure may pass. E_TOKEN. */
MUST_USE err_t find_attribute(const struct session *session, CK_OBJECT_HANDLE object,
                              CK_ATTRIBUTE *attribute);

/* Keys on the token of one kind. */
struct find_what {
    CK_OBJECT_CLASS class;
    CK_KEY_TYPE type;
    struct span id; /* empty: of any CKA_ID */
};

/* Their handles. E_LIMIT: more than max are there. E_TOKEN, E_PROTOCOL. */
MUST_USE err_t find_objects(const struct session *session, const struct find_what *what,
                            CK_OBJECT_HANDLE *handles, size_t max, size_t *ret_n);

#endif
