#include "pkcs11/find.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "pkcs11/lie.h"
#include "pkcs11/rv.h"

#define SLOTS_MAX 1024u

void find_text(char *to, size_t to_len, struct span padded)
{
    while (padded.len > 0 && padded.ptr[padded.len - 1] == ' ') {
        padded.len--;
    }
    (void)span_to_text(padded, to, to_len);
}

static void describe(struct token *token, CK_SLOT_ID slot, const CK_TOKEN_INFO *info)
{
    *token = (struct token){.slot = slot,
                            .flags = info->flags,
                            .pin_min = info->ulMinPinLen,
                            .pin_max = info->ulMaxPinLen};
    find_text(token->label, sizeof(token->label), span_of(info->label, sizeof(info->label)));
    find_text(token->serial, sizeof(token->serial),
              span_of(info->serialNumber, sizeof(info->serialNumber)));
    find_text(token->model, sizeof(token->model), span_of(info->model, sizeof(info->model)));
    find_text(token->manufacturer, sizeof(token->manufacturer),
              span_of(info->manufacturerID, sizeof(info->manufacturerID)));
}

static void mention(char *why, size_t why_len, const struct token *token)
{
    size_t used = strlen(why);
    (void)snprintf(why + used, why_len - used, "%s '%s' serial %s", used == 0 ? "" : ",",
                   token->label, token->serial);
}

/*
 * A slot that cannot be looked into may hold the token that is looked for; one that is empty may
 * not.
 */
static void mention_failure(char *why, size_t why_len, CK_SLOT_ID slot, CK_RV rv)
{
    size_t used = strlen(why);
    if (rv_class(rv) != RV_LOST) {
        (void)snprintf(why + used, why_len - used, "%s slot %lu fails with %s",
                       used == 0 ? "" : ",", slot, rv_name(rv));
    }
}

static err_t list_slots(const struct module *module, CK_SLOT_ID slots[SLOTS_MAX], CK_ULONG *ret_n)
{
    CK_ULONG n = 0;
    /*
     * The call without room is the one in which modules look at their slots; its number may be old
     * at once.
     */
    RV_TRY(P11(module, C_GetSlotList, CK_TRUE, NULL, &n), "C_GetSlotList");
    n = SLOTS_MAX;
    RV_TRY(P11(module, C_GetSlotList, CK_TRUE, slots, &n), "C_GetSlotList");
    if (n > SLOTS_MAX) {
        return LIE("C_GetSlotList gave more slots than there is room for", n);
    }
    *ret_n = n;
    return OK;
}

err_t find_token(const struct module *module, const struct uri *uri, struct token *ret_token,
                 char *why, size_t why_len)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG n = 0;
    char there[200] = "";
    size_t matches = 0;
    struct token found = {0};
    TRY(list_slots(module, slots, &n));
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info = {0};
        CK_RV rv = P11(module, C_GetTokenInfo, slots[i], &info);
        if (rv != CKR_OK) {
            mention_failure(there, sizeof(there), slots[i], rv);
            continue;
        }
        if ((info.flags & CKF_TOKEN_INITIALIZED) == 0) {
            continue;
        }
        struct token token;
        describe(&token, slots[i], &info);
        mention(there, sizeof(there), &token);
        if (uri_matches(uri, &info)) {
            found = token;
            matches++;
        }
    }
    if (matches != 1) {
        span_end_whole(there);
        (void)snprintf(why, why_len, "%s token matches the URI; tokens there:%s",
                       matches == 0 ? "no" : "more than one", there[0] == '\0' ? " none" : there);
        return FAIL(E_NOT_FOUND, "not exactly one token matches the URI");
    }
    *ret_token = found;
    return OK;
}

err_t find_token_flags(const struct module *module, const struct token *token, CK_FLAGS *ret_flags)
{
    CK_TOKEN_INFO info = {0};
    RV_TRY(P11(module, C_GetTokenInfo, token->slot, &info), "C_GetTokenInfo");
    struct token there;
    describe(&there, token->slot, &info);
    if (!span_equal(span_of_text(there.serial), span_of_text(token->serial)) ||
        !span_equal(span_of_text(there.label), span_of_text(token->label)) ||
        (info.flags & CKF_TOKEN_INITIALIZED) == 0) {
        return FAIL(E_NOT_FOUND, "another token is in the slot");
    }
    *ret_flags = info.flags;
    return OK;
}

err_t find_token_patiently(const struct module *module, const struct token *token,
                           CK_FLAGS *ret_flags)
{
    err_t err = find_token_flags(module, token, ret_flags);
    for (int i = 1; failed(err) && i < FIND_LOOKS; i++) {
        (void)poll(NULL, 0, FIND_LOOK_MS);
        err = find_token_flags(module, token, ret_flags);
    }
    return err;
}

static err_t check_handles(const CK_OBJECT_HANDLE *handles, CK_ULONG n)
{
    for (CK_ULONG i = 0; i < n; i++) {
        if (handles[i] == CK_INVALID_HANDLE) {
            return LIE("C_FindObjects gave a handle that is none", handles[i]);
        }
    }
    return OK;
}

static err_t collect(const struct session *session, CK_OBJECT_HANDLE *handles, size_t max,
                     size_t *ret_n)
{
    size_t n = 0;
    for (;;) {
        CK_ULONG got = 0;
        CK_OBJECT_HANDLE one;
        CK_OBJECT_HANDLE_PTR to = n < max ? handles + n : &one;
        CK_ULONG room = n < max ? max - n : 1;
        RV_TRY(P11(session->module, C_FindObjects, session->handle, to, room, &got),
               "C_FindObjects");
        if (got == 0) {
            *ret_n = n;
            return OK;
        }
        if (got > room) {
            return LIE("C_FindObjects gave more handles than there is room for", got);
        }
        if (n == max) {
            return FAIL(E_LIMIT, "more keys on the token than are looked at");
        }
        TRY(check_handles(to, got));
        n += got;
    }
}

static err_t get_attribute(const struct session *session, CK_OBJECT_HANDLE object,
                           CK_ATTRIBUTE *attribute)
{
    RV_TRY(P11(session->module, C_GetAttributeValue, session->handle, object, attribute, 1),
           "C_GetAttributeValue");
    return OK;
}

err_t find_attribute(const struct session *session, CK_OBJECT_HANDLE object,
                     CK_ATTRIBUTE *attribute)
{
    CK_ATTRIBUTE again = *attribute;
    err_t err = get_attribute(session, object, attribute);
    if (rv_may_pass(err)) {
        *attribute = again;
        err = get_attribute(session, object, attribute);
    }
    return err;
}

static err_t find_once(const struct session *session, const struct find_what *what,
                       CK_OBJECT_HANDLE *handles, size_t max, size_t *ret_n)
{
    CK_OBJECT_CLASS class = what->class;
    CK_KEY_TYPE type = what->type;
    CK_BBOOL on_token = CK_TRUE;
    CK_ATTRIBUTE want[] = {{CKA_CLASS, &class, sizeof(class)},
                           {CKA_KEY_TYPE, &type, sizeof(type)},
                           {CKA_TOKEN, &on_token, sizeof(on_token)},
                           {CKA_ID, p11_bytes(what->id), what->id.len}};
    CK_ULONG n = what->id.len == 0 ? 3 : 4;
    RV_TRY(P11(session->module, C_FindObjectsInit, session->handle, want, n), "C_FindObjectsInit");
    err_t err = collect(session, handles, max, ret_n);
    CK_RV rv = P11(session->module, C_FindObjectsFinal, session->handle);
    if (!failed(err) && rv != CKR_OK) {
        return FAIL_DETAIL(E_TOKEN, rv, "C_FindObjectsFinal");
    }
    return err;
}

err_t find_objects(const struct session *session, const struct find_what *what,
                   CK_OBJECT_HANDLE *handles, size_t max, size_t *ret_n)
{
    err_t err = find_once(session, what, handles, max, ret_n);
    return rv_may_pass(err) ? find_once(session, what, handles, max, ret_n) : err;
}
