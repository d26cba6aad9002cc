/*
 * The shim as a module over a real one.
 *
 *   P11KMS_SHIM_MODULE   path of the real module
 *   P11KMS_SHIM_CONTROL  file of the orders
 *   P11KMS_SHIM_LOG      the name of each wrapped call is appended
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/token/shim.h"

FILE *shim_control(void)
{
    const char *path = getenv("P11KMS_SHIM_CONTROL");
    return path == NULL ? NULL : fopen(path, "re");
}

void shim_note(const char *function)
{
    const char *path = getenv("P11KMS_SHIM_LOG");
    int fd = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
        char line[80];
        int n = snprintf(line, sizeof(line), "%s\n", function);
        (void)!write(fd, line, (size_t)n);
        (void)close(fd);
    }
}

/* NULL: it cannot be loaded. */
static CK_FUNCTION_LIST *load(void)
{
    const char *path = getenv("P11KMS_SHIM_MODULE");
    void *library = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    union {
        void *object;
        CK_C_GetFunctionList function;
    } symbol = {.object = library == NULL ? NULL : dlsym(library, "C_GetFunctionList")};
    CK_FUNCTION_LIST *module = NULL;
    return symbol.object == NULL || symbol.function(&module) != CKR_OK ? NULL : module;
}

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR ret_list)
{
    static CK_FUNCTION_LIST *module;
    if (module == NULL) {
        module = load();
    }
    if (module == NULL) {
        return CKR_GENERAL_ERROR;
    }
    *ret_list = lies_list(shim_over(module));
    return CKR_OK;
}
