/* shim: what its files share, and what the program that it is part of gives it; see shim.c. */
#ifndef TESTS_TOKEN_SHIM_H
#define TESTS_TOKEN_SHIM_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stdio.h>

struct shim_order {
    char action[16];
    long number;
    long times;
    long every;
};

/* The orders, opened for reading, the caller's to close; NULL: none. Of the program. */
FILE *shim_control(void);
/* Called before each wrapped call. Of the program. */
void shim_note(const char *function);

/* Puts the shim before a module, in place of the one before. */
CK_FUNCTION_LIST *shim_over(CK_FUNCTION_LIST *module);
/* Counts the orders anew, as if the lines had gone and come. */
void shim_forget(void);

/* The first order for this function. False: none. */
bool shim_order(const char *function, struct shim_order *ret_order);

/* The module's functions, which tell the truth unless a lie is ordered. */
CK_FUNCTION_LIST *lies_over(CK_FUNCTION_LIST *module);
/* The list itself as C_GetFunctionList is to give it: a lie may be ordered about it too. */
CK_FUNCTION_LIST *lies_list(CK_FUNCTION_LIST *list);

#endif
