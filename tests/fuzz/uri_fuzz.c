/*
 * The token URI of the configuration: never crashes, and what is accepted names at least one
 * attribute.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "pkcs11/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[513] = "";
    size_t n = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
    if (n > 0) {
        span_move(text, data, n);
    }
    CLEANUP(uri_free_p) struct uri *uri = NULL;
    if (failed(uri_parse(text, &uri))) {
        return 0;
    }
    CK_TOKEN_INFO info = {0};
    (void)uri_matches(uri, &info);
    if (strchr(text, '=') == NULL || strstr(text, "pin-") == text + 7) {
        abort();
    }
    return 0;
}
