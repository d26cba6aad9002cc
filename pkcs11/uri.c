#include "pkcs11/uri.h"

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"

#define SCHEME "pkcs11:"

struct uri {
    P11KitUri *parsed;
};

static const char *const accepted[] = {"token", "serial", "model", "manufacturer"};
#define ACCEPTED (sizeof(accepted) / sizeof(accepted[0]))

/* One "name=value": marks the name in *seen. */
static err_t check_attribute(struct span attribute, unsigned *seen)
{
    const uint8_t *equals =
        attribute.len == 0 ? NULL : memchr(attribute.ptr, '=', attribute.len);
    if (equals == NULL) {
        return FAIL(E_INVALID, "the URI holds an empty attribute or one without a value");
    }
    struct span name = span_part(attribute, 0, (size_t)(equals - attribute.ptr));
    for (size_t i = 0; i < ACCEPTED; i++) {
        if (!span_equal(name, span_of_text(accepted[i]))) {
            continue;
        }
        if ((*seen & 1u << i) != 0) {
            return FAIL(E_INVALID, "the URI names an attribute twice");
        }
        *seen |= 1u << i;
        return OK;
    }
    return FAIL(E_INVALID,
                "the URI holds an attribute other than token, serial, model, manufacturer");
}

static err_t check_attributes(const char *text)
{
    if (strncmp(text, SCHEME, strlen(SCHEME)) != 0) {
        return FAIL(E_INVALID, "the URI does not begin with pkcs11:");
    }
    unsigned seen = 0;
    const char *at = text + strlen(SCHEME);
    if (strchr(at, '?') != NULL) {
        return FAIL(E_INVALID,
                    "the URI has a query part: PIN and module are settings of their own");
    }
    for (;;) {
        size_t len = strcspn(at, ";");
        TRY(check_attribute(span_of(at, len), &seen));
        if (at[len] == '\0') {
            return OK;
        }
        at += len + 1;
    }
}

err_t uri_parse(const char *text, struct uri **ret_uri)
{
    TRY(check_attributes(text));
    CLEANUP(uri_free_p) struct uri *uri = calloc(1, sizeof(*uri));
    if (uri != NULL) {
        uri->parsed = p11_kit_uri_new();
    }
    if (uri == NULL || uri->parsed == NULL) {
        return FAIL(E_LIMIT, "out of memory");
    }
    if (p11_kit_uri_parse(text, P11_KIT_URI_FOR_TOKEN, uri->parsed) != P11_KIT_URI_OK ||
        p11_kit_uri_any_unrecognized(uri->parsed)) {
        return FAIL(E_INVALID, "the URI is malformed, or a value is too long");
    }
    *ret_uri = TAKE(uri);
    return OK;
}

void uri_free(struct uri *uri)
{
    if (uri != NULL) {
        p11_kit_uri_free(uri->parsed);
        free(uri);
    }
}

bool uri_matches(const struct uri *uri, const CK_TOKEN_INFO *info)
{
    return p11_kit_uri_match_token_info(uri->parsed, info) == 1;
}
