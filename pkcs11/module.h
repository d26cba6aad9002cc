/*
 * module: the vendor's library and its function list. Loaded once a process and never unloaded.
 * Every call goes through P11(), which tells the watchdog.
 */
#ifndef PKCS11_MODULE_H
#define PKCS11_MODULE_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/span.h"
#include "pkcs11/watchdog.h"

struct module {
    CK_FUNCTION_LIST *fn; /* NULL until loaded */
    bool initialised;
};

/* P11(module, C_Encrypt, session, ...): its CK_RV. */
#define P11(module_, name_, ...)                                                                   \
    __extension__({                                                                                \
        watch_enter(#name_);                                                                       \
        CK_RV p11_rv_ = (module_)->fn->name_(__VA_ARGS__);                                         \
        watch_leave();                                                                             \
        p11_rv_;                                                                                   \
    })

/*
 * dlopen and C_GetFunctionList; nothing to do when loaded. On failure a sentence for people in
 * `why`.
 */
MUST_USE err_t module_load(struct module *module, const char *path, char *why, size_t why_len);
/* C_Initialize with OS locking; init_args (may be empty) goes to pReserved. */
MUST_USE err_t module_initialise(struct module *module, const char *init_args);
/* C_Finalize: a module looks for tokens anew only after it. */
void module_finalise(struct module *module);

/* The module's functions take plain pointers for what they only read. */
static inline CK_BYTE_PTR p11_bytes(struct span bytes)
{
    union {
        const uint8_t *in;
        CK_BYTE_PTR out;
    } both = {.in = bytes.ptr};
    return both.out;
}

#endif
