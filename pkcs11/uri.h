/*
 * uri: the RFC 7512 URI that names the token. Strict where the parser of p11-kit is lenient: an
 * attribute that is unknown, repeated, too long, or carries a PIN is an error, because a dropped
 * attribute would let the URI match other tokens. Slot ids are refused too: they are not stable.
 */
#ifndef PKCS11_URI_H
#define PKCS11_URI_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/own.h"

struct uri;

/*
 * Accepts token, serial, model and manufacturer, at least one of them. E_INVALID: err.what says
 * why.
 */
MUST_USE err_t uri_parse(const char *text, struct uri **ret_uri);
void uri_free(struct uri *uri);
DEFINE_CLEANUP(struct uri *, uri_free)

bool uri_matches(const struct uri *uri, const CK_TOKEN_INFO *info);

#endif
