#include "pkcs11/module.h"

#include <dlfcn.h>
#include <stdio.h>

#include "pkcs11/rv.h"

/* The first function that we call and that is not there, or NULL. */
static const char *lacking(const CK_FUNCTION_LIST *fn)
{
#define CALLED(name_) {#name_, fn->name_ != NULL}
    const struct {
        const char *name;
        bool there;
    } called[] = {
        CALLED(C_Initialize),    CALLED(C_Finalize),       CALLED(C_GetSlotList),
        CALLED(C_GetTokenInfo),  CALLED(C_OpenSession),    CALLED(C_CloseSession),
        CALLED(C_Login),         CALLED(C_FindObjectsInit), CALLED(C_FindObjects),
        CALLED(C_FindObjectsFinal), CALLED(C_GetAttributeValue), CALLED(C_GenerateKey),
        CALLED(C_EncryptInit),   CALLED(C_Encrypt),        CALLED(C_DecryptInit),
        CALLED(C_Decrypt),       CALLED(C_GenerateRandom), CALLED(C_GetMechanismInfo),
    };
#undef CALLED
    for (size_t i = 0; i < sizeof(called) / sizeof(called[0]); i++) {
        if (!called[i].there) {
            return called[i].name;
        }
    }
    return NULL;
}

/* A list of another version may be laid out in another way. */
static err_t check_list(const CK_FUNCTION_LIST *fn, char *why, size_t why_len)
{
    if (fn == NULL) {
        return FAIL(E_UNSUPPORTED, "C_GetFunctionList gave no list");
    }
    if (fn->version.major < 2 || fn->version.major > 3) {
        (void)snprintf(why, why_len,
                       "C_GetFunctionList gave a list of PKCS#11 %u.%u, not of 2 or 3",
                       fn->version.major, fn->version.minor);
        return FAIL(E_UNSUPPORTED, "C_GetFunctionList gave a list of a version that is not 2 or 3");
    }
    const char *name = lacking(fn);
    if (name != NULL) {
        (void)snprintf(why, why_len, "C_GetFunctionList gave a list without %s", name);
        return FAIL(E_UNSUPPORTED, "C_GetFunctionList gave a list with functions missing");
    }
    return OK;
}

static err_t function_list(void *library, CK_FUNCTION_LIST **ret_fn, char *why, size_t why_len)
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
    TRY(check_list(fn, why, why_len));
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
    char fault[100] = "";
    err_t err = function_list(library, &module->fn, fault, sizeof(fault));
    if (failed(err)) {
        (void)snprintf(why, why_len, "%s cannot be used as a PKCS#11 module: %s", path,
                       fault[0] == '\0' ? err.what : fault);
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
