/* shim: what its files share. An order is a line of the control file, see shim.c. */
#ifndef TESTS_TOKEN_SHIM_H
#define TESTS_TOKEN_SHIM_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

struct shim_order {
    char action[16];
    long number;
    long times;
    long every;
};

/* The first order for this function. False: none. */
bool shim_order(const char *function, struct shim_order *ret_order);

/* The module's functions, which tell the truth unless a lie is ordered. */
CK_FUNCTION_LIST *lies_over(CK_FUNCTION_LIST *module);
/* The list itself as C_GetFunctionList is to give it: a lie may be ordered about it too. */
CK_FUNCTION_LIST *lies_list(CK_FUNCTION_LIST *list);

#endif
