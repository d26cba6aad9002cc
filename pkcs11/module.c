#include "pkcs11/module.h"

#include <dlfcn.h>
#include <stdio.h>

#include "pkcs11/rv.h"

static err_t function_list(void *library, CK_FUNCTION_LIST **ret_fn)
{
    union {
        void *object;
        CK_C_GetFunctionList function;
    } symbol = {.object = dlsym(library, "C_GetFunctionList")};
    if (symbol.object == NULL) {
        return FAIL(E_UNSUPPORTED, "the library has no C_GetFunctionList");
    }
    CK_FUNCTION_LIST *fn = NULL;
    RV_TRY(symbol.function(&fn), "C_GetFunctionList");
    if (fn == NULL || fn->version.major < 2) {
        return FAIL(E_UNSUPPORTED, "the module is older than PKCS#11 2");
    }
    *ret_fn = fn;
    return OK;
}

err_t module_load(struct module *module, const char *path, char *why, size_t why_len)
{
    if (module->fn != NULL) {
        return OK;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *said = dlerror();
        (void)snprintf(why, why_len, "the module cannot be loaded: %s", said == NULL ? path : said);
        return FAIL(E_UNAVAILABLE, "the module cannot be loaded");
    }
    err_t err = function_list(library, &module->fn);
    if (failed(err)) {
        (void)snprintf(why, why_len, "%s is no PKCS#11 module: %s", path, err.what);
        (void)dlclose(library);
    }
    return err;
}

err_t module_initialise(struct module *module, const char *init_args)
{
    if (module->initialised) {
        return OK;
    }
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    if (init_args[0] != '\0') {
        args.pReserved = p11_bytes(span_of_text(init_args));
    }
    CK_RV rv = P11(module, C_Initialize, &args);
    if (rv != CKR_OK && !rv_is_already(rv)) {
        return FAIL_DETAIL(E_TOKEN, rv, "C_Initialize");
    }
    module->initialised = true;
    return OK;
}

void module_finalise(struct module *module)
{
    if (module->initialised) {
        (void)P11(module, C_Finalize, NULL);
        module->initialised = false;
    }
}
