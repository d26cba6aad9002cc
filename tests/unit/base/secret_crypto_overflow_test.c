/* The same program, with the overflow that the token process allows. */
#define OVERFLOW 1
#include "tests/unit/base/secret_crypto_test.c"
