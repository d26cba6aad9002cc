#include "pkcs11/rv.h"

#include <stddef.h>
#include <string.h>

struct code {
    CK_RV rv;
    enum rv_class class;
    const char *name;
};

/* Codes of PKCS#11 3.x that the packaged header does not know. */
#define CKR_AEAD_DECRYPT_FAILED_3     0x42ul
#define CKR_OPERATION_CANCEL_FAILED_3 0x202ul
#define CKR_ACTION_PROHIBITED_2_40    0x1bul

#define CODE(name_, class_) {.rv = (name_), .class = (class_), .name = #name_}

static const struct code codes[] = {
    CODE(CKR_OK, RV_FINE),
    CODE(CKR_ENCRYPTED_DATA_INVALID, RV_DATA),
    CODE(CKR_ENCRYPTED_DATA_LEN_RANGE, RV_DATA),
    CODE(CKR_WRAPPED_KEY_INVALID, RV_DATA),
    CODE(CKR_WRAPPED_KEY_LEN_RANGE, RV_DATA),
    CODE(CKR_SIGNATURE_INVALID, RV_DATA),
    CODE(CKR_SIGNATURE_LEN_RANGE, RV_DATA),
    CODE(CKR_DATA_INVALID, RV_DATA),
    CODE(CKR_DATA_LEN_RANGE, RV_DATA),
    {CKR_AEAD_DECRYPT_FAILED_3, RV_DATA, "CKR_AEAD_DECRYPT_FAILED"},
    CODE(CKR_SESSION_HANDLE_INVALID, RV_SESSION),
    CODE(CKR_SESSION_CLOSED, RV_SESSION),
    CODE(CKR_OPERATION_ACTIVE, RV_SESSION),
    CODE(CKR_OPERATION_NOT_INITIALIZED, RV_SESSION),
    CODE(CKR_BUFFER_TOO_SMALL, RV_SESSION),
    {CKR_OPERATION_CANCEL_FAILED_3, RV_SESSION, "CKR_OPERATION_CANCEL_FAILED"},
    CODE(CKR_OBJECT_HANDLE_INVALID, RV_HANDLE),
    CODE(CKR_KEY_HANDLE_INVALID, RV_HANDLE),
    CODE(CKR_SESSION_COUNT, RV_BUSY),
    CODE(CKR_HOST_MEMORY, RV_BUSY),
    CODE(CKR_DEVICE_MEMORY, RV_BUSY),
    CODE(CKR_TOKEN_NOT_PRESENT, RV_LOST),
    CODE(CKR_TOKEN_NOT_RECOGNIZED, RV_LOST),
    CODE(CKR_DEVICE_REMOVED, RV_LOST),
    CODE(CKR_SLOT_ID_INVALID, RV_LOST),
    CODE(CKR_CRYPTOKI_NOT_INITIALIZED, RV_LOST),
    CODE(CKR_USER_NOT_LOGGED_IN, RV_LOST),
    CODE(CKR_PIN_INCORRECT, RV_PIN),
    CODE(CKR_PIN_LOCKED, RV_PIN),
    CODE(CKR_PIN_INVALID, RV_PIN),
    CODE(CKR_PIN_LEN_RANGE, RV_PIN),
    CODE(CKR_PIN_EXPIRED, RV_PIN),
    CODE(CKR_USER_PIN_NOT_INITIALIZED, RV_FAULT),
    CODE(CKR_USER_TYPE_INVALID, RV_FAULT),
    CODE(CKR_USER_ALREADY_LOGGED_IN, RV_FAULT),
    CODE(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, RV_FAULT),
    CODE(CKR_CRYPTOKI_ALREADY_INITIALIZED, RV_FAULT),
    CODE(CKR_CANT_LOCK, RV_FAULT),
    CODE(CKR_NEED_TO_CREATE_THREADS, RV_FAULT),
    CODE(CKR_FUNCTION_NOT_SUPPORTED, RV_FAULT),
    CODE(CKR_KEY_FUNCTION_NOT_PERMITTED, RV_FAULT),
    CODE(CKR_KEY_TYPE_INCONSISTENT, RV_FAULT),
    CODE(CKR_KEY_SIZE_RANGE, RV_FAULT),
    CODE(CKR_KEY_UNEXTRACTABLE, RV_FAULT),
    CODE(CKR_MECHANISM_INVALID, RV_FAULT),
    CODE(CKR_MECHANISM_PARAM_INVALID, RV_FAULT),
    CODE(CKR_ARGUMENTS_BAD, RV_FAULT),
    CODE(CKR_ATTRIBUTE_READ_ONLY, RV_FAULT),
    CODE(CKR_ATTRIBUTE_SENSITIVE, RV_FAULT),
    CODE(CKR_ATTRIBUTE_TYPE_INVALID, RV_FAULT),
    CODE(CKR_ATTRIBUTE_VALUE_INVALID, RV_FAULT),
    CODE(CKR_TEMPLATE_INCOMPLETE, RV_FAULT),
    CODE(CKR_TEMPLATE_INCONSISTENT, RV_FAULT),
    CODE(CKR_SESSION_READ_ONLY, RV_FAULT),
    CODE(CKR_TOKEN_WRITE_PROTECTED, RV_FAULT),
    {CKR_ACTION_PROHIBITED_2_40, RV_FAULT, "CKR_ACTION_PROHIBITED"},
    CODE(CKR_GENERAL_ERROR, RV_OUTAGE),
    CODE(CKR_FUNCTION_FAILED, RV_OUTAGE),
    CODE(CKR_DEVICE_ERROR, RV_OUTAGE),
    CODE(CKR_FUNCTION_CANCELED, RV_OUTAGE),
    CODE(CKR_CANCEL, RV_OUTAGE),
    CODE(CKR_RANDOM_NO_RNG, RV_FAULT),
    CODE(CKR_MUTEX_BAD, RV_OUTAGE),
};

static const struct code *find_code(CK_RV rv)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].rv == rv) {
            return &codes[i];
        }
    }
    return NULL;
}

enum rv_class rv_class(CK_RV rv)
{
    const struct code *code = find_code(rv);
    return code == NULL ? RV_OUTAGE : code->class;
}

const char *rv_name(CK_RV rv)
{
    const struct code *code = find_code(rv);
    if (code != NULL) {
        return code->name;
    }
    return rv >= CKR_VENDOR_DEFINED ? "CKR_VENDOR_DEFINED" : "unknown CK_RV";
}

bool rv_is_no_attribute(CK_RV rv)
{
    return rv == CKR_ATTRIBUTE_TYPE_INVALID;
}

bool rv_is_template_refused(CK_RV rv)
{
    return rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_VALUE_INVALID ||
           rv == CKR_ATTRIBUTE_READ_ONLY || rv == CKR_TEMPLATE_INCONSISTENT;
}

bool rv_is_no_mechanism(CK_RV rv)
{
    return rv == CKR_MECHANISM_INVALID;
}

bool rv_is_no_function(CK_RV rv)
{
    return rv == CKR_FUNCTION_NOT_SUPPORTED;
}

bool rv_is_already(CK_RV rv)
{
    return rv == CKR_CRYPTOKI_ALREADY_INITIALIZED || rv == CKR_USER_ALREADY_LOGGED_IN;
}

bool rv_is_pin_locked(CK_RV rv)
{
    return rv == CKR_PIN_LOCKED;
}

bool rv_is_pin_expired(CK_RV rv)
{
    return rv == CKR_PIN_EXPIRED;
}

enum rv_class rv_class_of(err_t err)
{
    return err.code == E_TOKEN ? rv_class(err.detail) : RV_FINE;
}

bool rv_is_of(err_t err, const char *function)
{
    return err.code == E_TOKEN && strcmp(err.what, function) == 0;
}

bool rv_may_pass(err_t err)
{
    enum rv_class class = rv_class_of(err);
    return class == RV_OUTAGE || class == RV_BUSY;
}
