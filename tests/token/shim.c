/*
 * shim: a PKCS#11 module that passes everything on to another and misbehaves on order. For tests.
 *
 *   orders               read before each wrapped call; lines
 *                        "<function> <action> [<number> [<times> [<every>]]]":
 *                        rv <CK_RV>   returned without calling the module
 *                        delay <ms>   waits first
 *                        hang         never returns
 *                        crash        ends the process by SIGSEGV
 *                        bare         lets others read the memory of the process
 *                        no-aad       C_EncryptInit and C_DecryptInit of AES-GCM: without the AAD
 *                        own-iv       C_EncryptInit of AES-GCM: writes an IV over the caller's
 *                        jams         C_Decrypt: after a refusal no operation can begin on the
 *                                     session
 *                        wrong        C_Encrypt, C_Decrypt: CKR_OK, and the first byte is another
 *                        then-rv <CK_RV>, then-crash   C_Login: after the module was called
 *                        others       lies about what came back, see lies.c
 *                        times: on the first calls only, counted anew once the line has gone
 *                        every: of these on each <every>-th only, the first included
 *
 * Where orders come from, and where the calls are noted, is for the program that it is part of:
 * shim_main.c makes a module of it, tests/kit/fake_module.c a kit for unit tests.
 *
 * Wrapped are the calls of the list at the end; every other goes straight to the module.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/token/shim.h"

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST list;
static _Thread_local bool spoils; /* the order "wrong" holds for this call */
static _Thread_local bool jams;   /* the same for the order of that name */
static _Thread_local CK_SESSION_HANDLE jammed;
static atomic_uint order_number = 1; /* of the orders that hold */

/* Orders of one function that were followed. */
struct spent {
    atomic_long n;
    atomic_uint of; /* the order_number of these */
};

/* True when *ret_rv is to be returned at once. */
static bool act(const char *action, unsigned long number, CK_RV *ret_rv)
{
    if (strcmp(action, "rv") == 0) {
        *ret_rv = number;
        return true;
    }
    if (strcmp(action, "delay") == 0) {
        (void)usleep((useconds_t)(number * 1000));
    }
    while (strcmp(action, "hang") == 0) {
        (void)pause();
    }
    if (strcmp(action, "bare") == 0) {
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    }
    spoils = strcmp(action, "wrong") == 0;
    jams = strcmp(action, "jams") == 0;
    if (strcmp(action, "crash") == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        (void)raise(SIGSEGV);
    }
    return false;
}

bool shim_order(const char *function, struct shim_order *ret_order)
{
    FILE *control = shim_control();
    char name[64];
    char line[128];
    bool found = false;
    while (control != NULL && !found && fgets(line, sizeof(line), control) != NULL) {
        *ret_order = (struct shim_order){.times = LONG_MAX, .every = 1};
        found = sscanf(line, "%63s %15s %li %li %li", name, ret_order->action, &ret_order->number,
                       &ret_order->times, &ret_order->every) >= 2 &&
                strcmp(name, function) == 0;
    }
    if (control != NULL) {
        (void)fclose(control);
    }
    return found;
}

void shim_forget(void)
{
    atomic_fetch_add(&order_number, 1);
    jammed = CK_INVALID_HANDLE;
}

/* True when *ret_rv is to be returned at once. */
static bool ordered(const char *function, struct spent *spent, CK_RV *ret_rv)
{
    struct shim_order order;
    unsigned number = atomic_load(&order_number);
    shim_note(function);
    spoils = false;
    jams = false;
    bool found = shim_order(function, &order);
    if (!found || atomic_exchange(&spent->of, number) != number) {
        atomic_store(&spent->n, 0);
    }
    if (!found) {
        return false;
    }
    long before = atomic_fetch_add(&spent->n, 1);
    return before < order.times && before % order.every == 0 &&
           act(order.action, (unsigned long)order.number, ret_rv);
}

/* WRAP(C_Name, (parameters with types), (names)) */
#define WRAP(name_, types_, names_)                                                                \
    static CK_RV shim_##name_ types_                                                               \
    {                                                                                              \
        static struct spent spent;                                                                 \
        CK_RV rv;                                                                                  \
        return ordered(#name_, &spent, &rv) ? rv : real->name_ names_;                             \
    }

WRAP(C_Initialize, (CK_VOID_PTR args), (args))
WRAP(C_Finalize, (CK_VOID_PTR args), (args))
WRAP(C_GetSlotList, (CK_BBOOL present, CK_SLOT_ID_PTR slots, CK_ULONG_PTR n), (present, slots, n))
WRAP(C_GetTokenInfo, (CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info), (slot, info))
WRAP(C_OpenSession,
     (CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR app, CK_NOTIFY notify, CK_SESSION_HANDLE_PTR h),
     (slot, flags, app, notify, h))
/* As WRAP; what is ordered for after the call hides what the token said. */
static CK_RV shim_C_Login(CK_SESSION_HANDLE h, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG n)
{
    static struct spent spent;
    struct shim_order order;
    CK_RV rv;
    if (ordered("C_Login", &spent, &rv)) {
        return rv;
    }
    rv = real->C_Login(h, user, pin, n);
    if (shim_order("C_Login", &order) && strncmp(order.action, "then-", 5) == 0) {
        (void)act(order.action + 5, (unsigned long)order.number, &rv);
    }
    return rv;
}
WRAP(C_FindObjectsInit, (CK_SESSION_HANDLE h, CK_ATTRIBUTE_PTR t, CK_ULONG n), (h, t, n))
WRAP(C_FindObjects, (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE_PTR o, CK_ULONG max, CK_ULONG_PTR n),
     (h, o, max, n))
WRAP(C_GetAttributeValue,
     (CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_PTR t, CK_ULONG n), (h, o, t, n))
WRAP(C_GenerateKey,
     (CK_SESSION_HANDLE h, CK_MECHANISM_PTR m, CK_ATTRIBUTE_PTR t, CK_ULONG n,
      CK_OBJECT_HANDLE_PTR o),
     (h, m, t, n, o))
/* The mechanism as it comes, or a copy without AAD or with another IV when that is ordered. */
static CK_MECHANISM_PTR as_ordered(const char *function, CK_MECHANISM_PTR m, CK_MECHANISM *copy,
                                    CK_GCM_PARAMS *params)
{
    struct shim_order order;
    if (m->mechanism != CKM_AES_GCM || !shim_order(function, &order)) {
        return m;
    }
    *params = *(CK_GCM_PARAMS *)m->pParameter;
    if (strcmp(order.action, "own-iv") == 0) {
        memset(params->pIv, 0x11, params->ulIvLen);
    }
    if (strcmp(order.action, "no-aad") != 0) {
        return m;
    }
    params->pAAD = NULL;
    params->ulAADLen = 0;
    *copy = *m;
    copy->pParameter = params;
    return copy;
}

/* As WRAP, for the two that take a mechanism and a key. */
#define WRAP_INIT(name_)                                                                           \
    static CK_RV shim_##name_(CK_SESSION_HANDLE h, CK_MECHANISM_PTR m, CK_OBJECT_HANDLE o)         \
    {                                                                                              \
        static struct spent spent;                                                                 \
        CK_MECHANISM copy;                                                                         \
        CK_GCM_PARAMS params;                                                                      \
        CK_RV rv;                                                                                  \
        if (ordered(#name_, &spent, &rv)) {                                                        \
            return rv;                                                                             \
        }                                                                                          \
        return h == jammed ? CKR_OPERATION_ACTIVE                                                  \
                           : real->name_(h, as_ordered(#name_, m, &copy, &params), o);             \
    }

/* As WRAP, for the two whose output may be spoilt. */
#define WRAP_DATA(name_)                                                                           \
    static CK_RV shim_##name_(CK_SESSION_HANDLE h, CK_BYTE_PTR in, CK_ULONG in_n, CK_BYTE_PTR out, \
                              CK_ULONG_PTR out_n)                                                  \
    {                                                                                              \
        static struct spent spent;                                                                 \
        CK_RV rv;                                                                                  \
        if (ordered(#name_, &spent, &rv)) {                                                        \
            return rv;                                                                             \
        }                                                                                          \
        rv = real->name_(h, in, in_n, out, out_n);                                                 \
        jammed = rv != CKR_OK && jams ? h : jammed;                                                \
        if (rv == CKR_OK && spoils) {                                                              \
            out[0] ^= 1;                                                                           \
        }                                                                                          \
        return rv;                                                                                 \
    }

WRAP_INIT(C_EncryptInit)
WRAP_DATA(C_Encrypt)
WRAP_INIT(C_DecryptInit)
WRAP_DATA(C_Decrypt)
WRAP(C_GenerateRandom, (CK_SESSION_HANDLE h, CK_BYTE_PTR out, CK_ULONG n), (h, out, n))
WRAP(C_GetMechanismInfo, (CK_SLOT_ID slot, CK_MECHANISM_TYPE m, CK_MECHANISM_INFO_PTR info),
     (slot, m, info))

CK_FUNCTION_LIST *shim_over(CK_FUNCTION_LIST *module)
{
    real = lies_over(module);
    list = *real;
#define TAKES(name_) list.name_ = shim_##name_
    TAKES(C_Initialize);
    TAKES(C_Finalize);
    TAKES(C_GetSlotList);
    TAKES(C_GetTokenInfo);
    TAKES(C_OpenSession);
    TAKES(C_Login);
    TAKES(C_FindObjectsInit);
    TAKES(C_FindObjects);
    TAKES(C_GetAttributeValue);
    TAKES(C_GenerateKey);
    TAKES(C_EncryptInit);
    TAKES(C_Encrypt);
    TAKES(C_DecryptInit);
    TAKES(C_Decrypt);
    TAKES(C_GenerateRandom);
    TAKES(C_GetMechanismInfo);
    return &list;
}
