/*
 * lies: numbers that cannot be true, on order. The call is made; what came back is changed. Actions
 * beside those of shim.c:
 *
 *   C_GetFunctionList    null; major <version>; lacks (C_Encrypt)
 *   C_GetSlotList        count <n>; slots <n>: so many, all but the true ones empty
 *   C_GetTokenInfo       text <byte>: every text field to its end
 *   C_OpenSession        handle <n>
 *   C_FindObjects        count <n>; handle <n>
 *   C_GetAttributeValue:<type in hex>
 *                        len <n>; byte <value of the first one>
 *   C_GenerateKey        handle <n>; late-rv <CK_RV>, late-end: the key is made, but nobody is told
 *   C_Encrypt, C_Decrypt len <n>; late-rv <CK_RV>: the room is filled, and then it fails
 *   C_GenerateRandom     nothing: the room as it was
 *   C_GetMechanismInfo:<mechanism in hex>
 *                        rv <CK_RV>
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/token/shim.h"

static CK_FUNCTION_LIST *true_list;

static bool lies(const char *function, const char *action, CK_ULONG *ret_number)
{
    struct shim_order order;
    if (!shim_order(function, &order) || strcmp(order.action, action) != 0) {
        return false;
    }
    *ret_number = (CK_ULONG)order.number;
    return true;
}

static CK_RV many_slots(CK_ULONG many, CK_SLOT_ID_PTR slots, CK_ULONG room, CK_ULONG there,
                        CK_ULONG_PTR n)
{
    *n = many;
    if (slots == NULL) {
        return CKR_OK;
    }
    if (room < many) {
        return CKR_BUFFER_TOO_SMALL;
    }
    for (CK_ULONG i = there; i < many; i++) {
        slots[i] = 0x7000 + i;
    }
    return CKR_OK;
}

static CK_RV lie_C_GetSlotList(CK_BBOOL present, CK_SLOT_ID_PTR slots, CK_ULONG_PTR n)
{
    CK_ULONG number;
    CK_ULONG room = *n;
    CK_RV rv = true_list->C_GetSlotList(present, slots, n);
    if (rv == CKR_OK && lies("C_GetSlotList", "slots", &number)) {
        return many_slots(number, slots, room, *n, n);
    }
    if (lies("C_GetSlotList", "count", &number)) {
        *n = number;
    }
    return rv;
}

static CK_RV lie_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info)
{
    CK_ULONG number;
    CK_RV rv = true_list->C_GetTokenInfo(slot, info);
    if (rv == CKR_OK && lies("C_GetTokenInfo", "text", &number)) {
        memset(info->label, (int)number, sizeof(info->label));
        memset(info->manufacturerID, (int)number, sizeof(info->manufacturerID));
        memset(info->model, (int)number, sizeof(info->model));
        memset(info->serialNumber, (int)number, sizeof(info->serialNumber));
        memset(info->utcTime, (int)number, sizeof(info->utcTime));
    }
    return rv;
}

static CK_RV lie_C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR app, CK_NOTIFY notify,
                               CK_SESSION_HANDLE_PTR h)
{
    CK_RV rv = true_list->C_OpenSession(slot, flags, app, notify, h);
    (void)lies("C_OpenSession", "handle", h);
    return rv;
}

static CK_RV lie_C_FindObjects(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE_PTR o, CK_ULONG max,
                               CK_ULONG_PTR n)
{
    CK_RV rv = true_list->C_FindObjects(h, o, max, n);
    if (*n > 0) {
        (void)lies("C_FindObjects", "handle", &o[0]);
        (void)lies("C_FindObjects", "count", n);
    }
    return rv;
}

static CK_RV lie_C_GetAttributeValue(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_PTR t,
                                     CK_ULONG n)
{
    char name[64];
    CK_ULONG number;
    CK_RV rv = true_list->C_GetAttributeValue(h, o, t, n);
    for (CK_ULONG i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "C_GetAttributeValue:%lx", t[i].type);
        (void)lies(name, "len", &t[i].ulValueLen);
        if (t[i].pValue != NULL && lies(name, "byte", &number)) {
            memset(t[i].pValue, (int)number, 1);
        }
    }
    return rv;
}

static CK_RV lie_C_GenerateKey(CK_SESSION_HANDLE h, CK_MECHANISM_PTR m, CK_ATTRIBUTE_PTR t,
                               CK_ULONG n, CK_OBJECT_HANDLE_PTR o)
{
    CK_RV rv = true_list->C_GenerateKey(h, m, t, n, o);
    CK_ULONG number;
    (void)lies("C_GenerateKey", "handle", o);
    if (lies("C_GenerateKey", "late-end", &number)) {
        _exit(1);
    }
    return lies("C_GenerateKey", "late-rv", &number) ? number : rv;
}

static CK_RV lie_C_Encrypt(CK_SESSION_HANDLE h, CK_BYTE_PTR in, CK_ULONG in_n, CK_BYTE_PTR out,
                           CK_ULONG_PTR out_n)
{
    CK_RV rv = true_list->C_Encrypt(h, in, in_n, out, out_n);
    CK_ULONG number;
    (void)lies("C_Encrypt", "len", out_n);
    return lies("C_Encrypt", "late-rv", &number) ? number : rv;
}

static CK_RV lie_C_Decrypt(CK_SESSION_HANDLE h, CK_BYTE_PTR in, CK_ULONG in_n, CK_BYTE_PTR out,
                           CK_ULONG_PTR out_n)
{
    CK_RV rv = true_list->C_Decrypt(h, in, in_n, out, out_n);
    CK_ULONG number;
    (void)lies("C_Decrypt", "len", out_n);
    return lies("C_Decrypt", "late-rv", &number) ? number : rv;
}

static CK_RV lie_C_GenerateRandom(CK_SESSION_HANDLE h, CK_BYTE_PTR out, CK_ULONG n)
{
    CK_ULONG number;
    return lies("C_GenerateRandom", "nothing", &number) ? CKR_OK
                                                        : true_list->C_GenerateRandom(h, out, n);
}

/* Of one mechanism alone. */
static CK_RV lie_C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE m,
                                    CK_MECHANISM_INFO_PTR info)
{
    char name[64];
    CK_ULONG number;
    (void)snprintf(name, sizeof(name), "C_GetMechanismInfo:%lx", m);
    return lies(name, "rv", &number) ? number : true_list->C_GetMechanismInfo(slot, m, info);
}

CK_FUNCTION_LIST *lies_over(CK_FUNCTION_LIST *module)
{
    static CK_FUNCTION_LIST list;
    true_list = module;
    list = *module;
    list.C_GetSlotList = lie_C_GetSlotList;
    list.C_GetTokenInfo = lie_C_GetTokenInfo;
    list.C_OpenSession = lie_C_OpenSession;
    list.C_FindObjects = lie_C_FindObjects;
    list.C_GetAttributeValue = lie_C_GetAttributeValue;
    list.C_GenerateKey = lie_C_GenerateKey;
    list.C_Encrypt = lie_C_Encrypt;
    list.C_Decrypt = lie_C_Decrypt;
    list.C_GenerateRandom = lie_C_GenerateRandom;
    list.C_GetMechanismInfo = lie_C_GetMechanismInfo;
    return &list;
}

CK_FUNCTION_LIST *lies_list(CK_FUNCTION_LIST *list)
{
    CK_ULONG number;
    if (lies("C_GetFunctionList", "null", &number)) {
        return NULL;
    }
    if (lies("C_GetFunctionList", "major", &number)) {
        list->version.major = (CK_BYTE)number;
    }
    if (lies("C_GetFunctionList", "lacks", &number)) {
        list->C_Encrypt = NULL;
    }
    return list;
}
