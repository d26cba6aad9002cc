#include "pkcs11/pin_content.h"

static err_t check_bytes(struct span pin)
{
    for (size_t i = 0; i < pin.len; i++) {
        if (pin.ptr[i] == '\r') {
            return FAIL(E_INVALID, "the PIN file has a carriage return (a line end of Windows): "
                                   "write the PIN alone, without it");
        }
        if (pin.ptr[i] == '\n') {
            return FAIL(E_INVALID, "the PIN file has more than one line: write the PIN alone, on "
                                   "one line");
        }
        if (pin.ptr[i] < ' ' || pin.ptr[i] == 0x7f) {
            return FAIL(E_INVALID, "the PIN file has a control character (a tab, a NUL or its "
                                   "like): write the PIN alone, without it");
        }
    }
    return OK;
}

static bool starts_with(struct span bytes, const char *mark)
{
    struct span wanted = span_of_text(mark);
    return span_equal(span_part(bytes, 0, wanted.len), wanted);
}

err_t pin_content_check(struct span pin)
{
    static const char no_break_space[] = "\xc2\xa0";
    if (starts_with(pin, "\xef\xbb\xbf") || starts_with(pin, "\xff\xfe") ||
        starts_with(pin, "\xfe\xff")) {
        return FAIL(E_INVALID, "the PIN file starts with a byte order mark: write the PIN as plain "
                               "text, without it");
    }
    TRY(check_bytes(pin));
    struct span end = span_part(pin, pin.len < 2 ? 0 : pin.len - 2, pin.len < 2 ? 0 : 2);
    if (starts_with(pin, " ") || starts_with(pin, no_break_space)) {
        return FAIL(E_INVALID, "the PIN file starts with a blank: write the PIN alone, without it");
    }
    if ((pin.len > 0 && pin.ptr[pin.len - 1] == ' ') || starts_with(end, no_break_space)) {
        return FAIL(E_INVALID, "the PIN file ends with a blank: write the PIN alone, without it");
    }
    return OK;
}
