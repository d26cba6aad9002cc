/*
 * fake_module: a PKCS#11 module in memory, for unit tests of what calls one: AES keys, sessions,
 * real AES-GCM and AES-CBC. It is honest; what goes wrong is ordered in the words of
 * tests/token/shim.c, through which every call passes. Not thread safe. Handles of sessions and
 * objects are never given twice in a process, and no two keys have one value.
 */
#ifndef TESTS_KIT_FAKE_MODULE_H
#define TESTS_KIT_FAKE_MODULE_H

#include <p11-kit/pkcs11.h>
#include <stddef.h>
#include <stdint.h>

#include "pkcs11/find.h"
#include "pkcs11/module.h"

struct fake_object {
    CK_OBJECT_HANDLE handle; /* 0: it is not on the token */
    char label[64];
    uint8_t id[64];
    size_t id_len;
    uint8_t value[32];
    CK_ULONG value_len;
    CK_ATTRIBUTE_TYPE odd;     /* this flag is the other way round than a KEK's; 0: none */
    CK_ATTRIBUTE_TYPE unknown; /* this one it does not have */
};

extern struct module fake_module;
extern const struct token fake_token;

/* No objects, no orders, nothing counted; open sessions stay. */
void fake_module_reset(void);
/* A key as a KEK must be, its CKA_ID 16 times this byte. It stays the module's. */
struct fake_object *fake_module_key(const char *label, uint8_t id);
/* The orders from now on; NULL: none. Counts them anew. */
void fake_module_order(const char *orders);
/* Answers to what does not authenticate with this code, not with CKR_ENCRYPTED_DATA_INVALID. */
void fake_module_refuse_with(CK_RV rv);
/* How often this function was called since the last reset. */
unsigned fake_module_count(const char *function);

#endif
