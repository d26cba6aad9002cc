/*
 * pin_record_scan: the words of the text forms of a PIN record, shared by the readers of form 1 and
 * of form 2. False: it is not such a word. Pure.
 */
#ifndef PKCS11_PIN_RECORD_SCAN_H
#define PKCS11_PIN_RECORD_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "pkcs11/pin_record.h"

#define SCAN_COUNT_MAX 1000000

/* Whose a line is. */
enum scan_whose {
    SCAN_OWN,
    SCAN_ANY, /* "*": of each token that has no line of its own */
    SCAN_OTHER
};

/* What is taken from all lines of a file. */
struct scan_lines {
    const char *serial;
    struct pin_record *record;
    bool own;             /* there was a line of this token */
    struct pin_token any; /* of "*" */
};

/* Up to `end`, which is passed; empty, and the cursor bad, when it does not come. */
struct span scan_until(struct cursor *c, char end);
bool scan_text(struct cursor *c, const char *text);
/* n bytes, lower-case. */
bool scan_hex(struct span text, uint8_t *to, size_t n);
bool scan_decimal(struct span text, int64_t max, int64_t *ret_value);
/* "-": none. */
bool scan_hash(struct span text, struct pin_failed *failed);
/* These pass the blank after them, too. */
bool scan_whose(struct cursor *c, const char *serial, enum scan_whose *ret_whose);
bool scan_flag(struct cursor *c, bool *flag);
bool scan_count(struct cursor *c, uint32_t *count);

#endif
