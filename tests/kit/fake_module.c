#include "tests/kit/fake_module.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/token/shim.h"

#define OBJECTS   16u
#define SESSIONS  8u
#define FUNCTIONS 32u
#define TAG       16u
#define SLOT      3u

/* What a session is in the midst of. */
struct fake_session {
    CK_SESSION_HANDLE handle; /* 0: closed */
    struct fake_object *key;
    CK_MECHANISM_TYPE mechanism;
    uint8_t iv[16];
    size_t iv_len;
    uint8_t aad[64];
    size_t aad_len;
    uint8_t find_id[64];
    size_t find_id_len; /* 0: any */
    size_t found;       /* objects looked at so far */
};

static struct fake_object objects[OBJECTS];
static struct fake_session sessions[SESSIONS];
static struct {
    const char *function;
    unsigned n;
} counts[FUNCTIONS];
static char orders[512];
static CK_RV refusal;
static CK_ULONG last_handle = 0x100;
static uint8_t last_value;

FILE *shim_control(void)
{
    return orders[0] == '\0' ? NULL : fmemopen(orders, strlen(orders), "r");
}

void shim_note(const char *function)
{
    for (size_t i = 0; i < FUNCTIONS; i++) {
        if (counts[i].function == NULL || strcmp(counts[i].function, function) == 0) {
            counts[i].function = function;
            counts[i].n++;
            return;
        }
    }
    abort();
}

unsigned fake_module_count(const char *function)
{
    for (size_t i = 0; i < FUNCTIONS && counts[i].function != NULL; i++) {
        if (strcmp(counts[i].function, function) == 0) {
            return counts[i].n;
        }
    }
    return 0;
}

void fake_module_order(const char *text)
{
    if (snprintf(orders, sizeof(orders), "%s", text == NULL ? "" : text) >= (int)sizeof(orders)) {
        abort();
    }
    shim_forget();
}

void fake_module_refuse_with(CK_RV rv)
{
    refusal = rv;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR app, CK_NOTIFY notify,
                          CK_SESSION_HANDLE_PTR ret_handle)
{
    (void)flags;
    (void)app;
    (void)notify;
    for (size_t i = 0; i < SESSIONS; i++) {
        if (sessions[i].handle == 0) {
            sessions[i] = (struct fake_session){.handle = ++last_handle};
            *ret_handle = sessions[i].handle;
            return slot == SLOT ? CKR_OK : CKR_SLOT_ID_INVALID;
        }
    }
    return CKR_SESSION_COUNT;
}

static struct fake_session *session_of(CK_SESSION_HANDLE handle)
{
    for (size_t i = 0; i < SESSIONS; i++) {
        if (handle != 0 && sessions[i].handle == handle) {
            return &sessions[i];
        }
    }
    return NULL;
}

static struct fake_object *object_of(CK_OBJECT_HANDLE handle)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        if (handle != 0 && objects[i].handle == handle) {
            return &objects[i];
        }
    }
    return NULL;
}

static CK_RV close_session(CK_SESSION_HANDLE handle)
{
    struct fake_session *session = session_of(handle);
    if (session == NULL) {
        return CKR_SESSION_HANDLE_INVALID;
    }
    session->handle = 0;
    return CKR_OK;
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info)
{
    memset(info, ' ', sizeof(*info));
    memcpy(info->label, fake_token.label, strlen(fake_token.label));
    memcpy(info->serialNumber, fake_token.serial, strlen(fake_token.serial));
    info->flags = CKF_TOKEN_INITIALIZED;
    return slot == SLOT ? CKR_OK : CKR_SLOT_ID_INVALID;
}

/* ---- objects ---- */

static CK_RV find_init(CK_SESSION_HANDLE handle, CK_ATTRIBUTE_PTR template, CK_ULONG n)
{
    struct fake_session *session = session_of(handle);
    if (session == NULL) {
        return CKR_SESSION_HANDLE_INVALID;
    }
    session->found = 0;
    session->find_id_len = 0;
    for (CK_ULONG i = 0; i < n; i++) {
        if (template[i].type == CKA_ID) {
            session->find_id_len = template[i].ulValueLen;
            memcpy(session->find_id, template[i].pValue, session->find_id_len);
        }
    }
    return CKR_OK;
}

static bool matches(const struct fake_session *session, const struct fake_object *object)
{
    return object->handle != 0 && (session->find_id_len == 0 ||
                                   (session->find_id_len == object->id_len &&
                                    memcmp(session->find_id, object->id, object->id_len) == 0));
}

static CK_RV find_some(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE_PTR to, CK_ULONG max,
                       CK_ULONG_PTR ret_n)
{
    struct fake_session *session = session_of(handle);
    if (session == NULL) {
        return CKR_SESSION_HANDLE_INVALID;
    }
    *ret_n = 0;
    while (session->found < OBJECTS && *ret_n < max) {
        const struct fake_object *object = &objects[session->found++];
        if (matches(session, object)) {
            to[(*ret_n)++] = object->handle;
        }
    }
    return CKR_OK;
}

static CK_RV find_final(CK_SESSION_HANDLE handle)
{
    return session_of(handle) == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OK;
}

static bool is_yes(CK_ATTRIBUTE_TYPE type)
{
    static const CK_ATTRIBUTE_TYPE yes[] = {
        CKA_PRIVATE, CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE,
        CKA_LOCAL,   CKA_ENCRYPT,   CKA_DECRYPT};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (yes[i] == type) {
            return true;
        }
    }
    return false;
}

static CK_RV put(CK_ATTRIBUTE_PTR attribute, const void *value, size_t len)
{
    bool fits = attribute->ulValueLen >= len;
    attribute->ulValueLen = fits ? len : CK_UNAVAILABLE_INFORMATION;
    if (fits && len > 0) {
        memcpy(attribute->pValue, value, len);
    }
    return fits ? CKR_OK : CKR_BUFFER_TOO_SMALL;
}

static CK_RV get_attribute(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE key,
                           CK_ATTRIBUTE_PTR attribute, CK_ULONG n)
{
    const struct fake_object *object = object_of(key);
    if (session_of(handle) == NULL) {
        return CKR_SESSION_HANDLE_INVALID;
    }
    if (object == NULL || n != 1) {
        return object == NULL ? CKR_OBJECT_HANDLE_INVALID : CKR_ARGUMENTS_BAD;
    }
    if (attribute->type == object->unknown) {
        attribute->ulValueLen = CK_UNAVAILABLE_INFORMATION;
        return CKR_ATTRIBUTE_TYPE_INVALID;
    }
    CK_BBOOL flag = is_yes(attribute->type) != (attribute->type == object->odd);
    switch (attribute->type) {
    case CKA_LABEL:
        return put(attribute, object->label, strlen(object->label));
    case CKA_ID:
        return put(attribute, object->id, object->id_len);
    case CKA_VALUE_LEN:
        return put(attribute, &object->value_len, sizeof(object->value_len));
    default:
        return put(attribute, &flag, sizeof(flag));
    }
}

/* ---- cryptography ---- */

static CK_RV crypt_init(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
    struct fake_session *session = session_of(handle);
    struct fake_object *object = object_of(key);
    if (session == NULL || object == NULL) {
        return session == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_KEY_HANDLE_INVALID;
    }
    session->key = object;
    session->mechanism = mechanism->mechanism;
    if (mechanism->mechanism == CKM_AES_CBC) {
        session->iv_len = mechanism->ulParameterLen;
        memcpy(session->iv, mechanism->pParameter, session->iv_len);
        return CKR_OK;
    }
    const CK_GCM_PARAMS *params = mechanism->pParameter;
    if (mechanism->mechanism != CKM_AES_GCM || params->ulIvBits != 8 * params->ulIvLen ||
        params->ulTagBits != 8 * TAG || params->ulAADLen > sizeof(session->aad)) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    session->iv_len = params->ulIvLen;
    memcpy(session->iv, params->pIv, session->iv_len);
    session->aad_len = params->ulAADLen;
    if (session->aad_len > 0) {
        memcpy(session->aad, params->pAAD, session->aad_len);
    }
    return CKR_OK;
}

/* aad, when there is one, then len bytes. False: it does not end well. */
static bool run(EVP_CIPHER_CTX *ctx, const struct fake_session *session, const uint8_t *in,
                size_t len, uint8_t *out)
{
    int n = 0;
    bool good = session->mechanism != CKM_AES_GCM ||
                EVP_CipherUpdate(ctx, NULL, &n, session->aad, (int)session->aad_len) == 1;
    return good && EVP_CipherUpdate(ctx, out, &n, in, (int)len) == 1 &&
           EVP_CipherFinal_ex(ctx, out + n, &n) == 1;
}

/* Over len bytes without the tag, which is written or compared; NULL for AES-CBC. */
static bool aes(const struct fake_session *session, bool encrypt, const uint8_t *in, size_t len,
                uint8_t *out, uint8_t *tag)
{
    const EVP_CIPHER *cipher = tag == NULL ? EVP_aes_256_cbc() : EVP_aes_256_gcm();
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool good = EVP_CipherInit_ex(ctx, cipher, NULL, NULL, NULL, encrypt) == 1;
    if (good && tag != NULL) {
        good = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)session->iv_len, NULL) == 1;
    }
    good = good && EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
           EVP_CipherInit_ex(ctx, NULL, NULL, session->key->value, session->iv, encrypt) == 1;
    if (good && tag != NULL && !encrypt) {
        good = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1;
    }
    good = good && run(ctx, session, in, len, out);
    if (good && tag != NULL && encrypt) {
        good = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, tag) == 1;
    }
    EVP_CIPHER_CTX_free(ctx);
    return good;
}

static CK_RV encrypt(CK_SESSION_HANDLE handle, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
                     CK_ULONG_PTR len)
{
    struct fake_session *session = session_of(handle);
    if (session == NULL || session->key == NULL) {
        return session == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OPERATION_NOT_INITIALIZED;
    }
    bool is_gcm = session->mechanism == CKM_AES_GCM;
    size_t out_len = in_len + (is_gcm ? TAG : 0);
    if (*len < out_len) {
        return CKR_BUFFER_TOO_SMALL;
    }
    bool good = aes(session, true, in, in_len, out, is_gcm ? out + in_len : NULL);
    session->key = NULL;
    *len = out_len;
    return good ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV decrypt(CK_SESSION_HANDLE handle, CK_BYTE_PTR in, CK_ULONG in_len, CK_BYTE_PTR out,
                     CK_ULONG_PTR len)
{
    struct fake_session *session = session_of(handle);
    if (session == NULL || session->key == NULL) {
        return session == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_OPERATION_NOT_INITIALIZED;
    }
    if (in_len < TAG || *len < in_len - TAG) {
        return CKR_ENCRYPTED_DATA_LEN_RANGE;
    }
    bool good = aes(session, false, in, in_len - TAG, out, in + in_len - TAG);
    session->key = NULL;
    *len = in_len - TAG;
    return good ? CKR_OK : refusal;
}

static CK_FUNCTION_LIST functions = {.C_OpenSession = open_session,
                                     .C_CloseSession = close_session,
                                     .C_GetTokenInfo = token_info,
                                     .C_FindObjectsInit = find_init,
                                     .C_FindObjects = find_some,
                                     .C_FindObjectsFinal = find_final,
                                     .C_GetAttributeValue = get_attribute,
                                     .C_EncryptInit = crypt_init,
                                     .C_Encrypt = encrypt,
                                     .C_DecryptInit = crypt_init,
                                     .C_Decrypt = decrypt};

struct module fake_module = {.initialised = true};
const struct token fake_token = {.slot = SLOT, .label = "fake", .serial = "0123"};

void fake_module_reset(void)
{
    memset(objects, 0, sizeof(objects));
    memset(counts, 0, sizeof(counts));
    refusal = CKR_ENCRYPTED_DATA_INVALID;
    fake_module_order(NULL);
    fake_module.fn = shim_over(&functions);
}

struct fake_object *fake_module_key(const char *label, uint8_t id)
{
    struct fake_object *object = objects;
    while (object->handle != 0) {
        object++;
    }
    if (object == objects + OBJECTS) {
        abort();
    }
    *object = (struct fake_object){.handle = ++last_handle, .id_len = 16, .value_len = 32};
    (void)snprintf(object->label, sizeof(object->label), "%s", label);
    memset(object->id, id, object->id_len);
    memset(object->value, ++last_value, sizeof(object->value));
    return object;
}
