#include "base/err.h"

static const char *const names[] = {
    [E_NONE] = "none",
    [E_INVALID] = "invalid",
    [E_CRYPTO] = "crypto",
    [E_NOT_FOUND] = "not-found",
    [E_LIMIT] = "limit",
    [E_UNAVAILABLE] = "unavailable",
    [E_DEADLINE] = "deadline",
    [E_DENIED] = "denied",
    [E_STATE] = "state",
    [E_UNSUPPORTED] = "unsupported",
    [E_PROTOCOL] = "protocol",
    [E_SYSTEM] = "system",
    [E_TOKEN] = "token",
    [E_BUG] = "bug",
};

const char *err_code_name(enum err_code code)
{
    if ((unsigned)code >= sizeof(names) / sizeof(names[0])) {
        return "unknown";
    }
    return names[code];
}
