#include "pkcs11/pin_retry.h"

#include "pkcs11/pin_store.h"

#define PIN_FLAGS (CKF_USER_PIN_LOCKED | CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY)

static bool has_other_file(const struct pin_guard *guard)
{
    struct pin_look look = pin_file_look(guard->config);
    return !pin_look_equal(&look, &guard->look);
}

static bool has_other_flags(const struct pin_guard *guard, const struct session *session)
{
    CK_FLAGS flags = guard->flags;
    return !failed(find_token_flags(session->module, session->token, &flags)) &&
           ((flags ^ guard->flags) & PIN_FLAGS) != 0;
}

static bool is_ordered(const struct pin_guard *guard, const struct session *session)
{
    const struct pin_store store = {.control_fd = guard->control_fd,
                                    .serial = session->token->serial};
    return pin_store_is_ordered(&store);
}

bool pin_retry_due(const struct pin_guard *guard, const struct session *session, int64_t now_ms)
{
    return is_ordered(guard, session) || has_other_file(guard) || has_other_flags(guard, session) ||
           (guard->retry_ms != 0 && now_ms >= guard->retry_ms);
}
