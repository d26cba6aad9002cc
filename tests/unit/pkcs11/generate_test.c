#include "pkcs11/generate.h"

#include <string.h>

#include "pkcs11/find.h"
#include "pkcs11/wrap.h"
#include "tests/kit/unit.h"

#define NOW 1800000000u

static void test_generate_times_nothing_asked_is_now(void **state)
{
    (void)state;
    struct ipc_generate ask = {0};
    struct generate_times times;
    assert_ok(generate_times(&ask, NOW, &times));
    assert_int_equal(times.not_before, NOW);
    assert_int_equal(times.created, NOW);
}

static void test_generate_times_floor_lies_ahead_is_taken(void **state)
{
    (void)state;
    struct ipc_generate ask = {.floor_s = NOW + 7};
    struct generate_times times;
    assert_ok(generate_times(&ask, NOW, &times));
    assert_int_equal(times.not_before, NOW + 7);
    assert_int_equal(times.created, NOW);
}

static void test_generate_times_created_lies_ahead_is_taken(void **state)
{
    (void)state;
    struct ipc_generate ask = {.created_s = NOW + 7};
    struct generate_times times;
    assert_ok(generate_times(&ask, NOW, &times));
    assert_int_equal(times.created, NOW + 7);
    assert_int_equal(times.not_before, NOW + 7);
    ask.not_before = NOW + 6;
    assert_fails(generate_times(&ask, NOW, &times), E_STATE);
    ask.created_s = NOW - 1;
    assert_ok(generate_times(&ask, NOW, &times));
    assert_int_equal(times.created, NOW);
}

static void test_generate_times_notice_at_the_limit_passes_one_less_fails(void **state)
{
    (void)state;
    struct ipc_generate ask = {.not_before = NOW + 300, .min_notice_s = 300};
    struct generate_times times;
    assert_ok(generate_times(&ask, NOW, &times));
    assert_fails(generate_times(&ask, NOW + 1, &times), E_STATE);
}

static void test_generate_times_not_before_in_the_past_fails(void **state)
{
    (void)state;
    struct ipc_generate ask = {.not_before = NOW - 1};
    struct generate_times times;
    assert_fails(generate_times(&ask, NOW, &times), E_STATE);
}

static void test_generate_times_clock_out_of_range_fails(void **state)
{
    (void)state;
    struct ipc_generate ask = {0};
    struct generate_times times;
    assert_fails(generate_times(&ask, 0, &times), E_INVALID);
    assert_fails(generate_times(&ask, (int64_t)UINT32_MAX + 1, &times), E_INVALID);
}

/* A token that holds one key at most, and a scheme that it does. */
static struct {
    bool there;
    uint8_t id[16];
    char label[33];
    unsigned made;
    bool other_label; /* it does not keep what it is told */
    bool other_id;
    bool refuses_modifiable;
    unsigned handle_none;
} on;

static const struct wrap_object kind = {.class = CKO_SECRET_KEY, .type = CKK_AES};

static err_t make(const struct session *session, const struct wrap_new *what,
                  CK_OBJECT_HANDLE ret_handles[WRAP_OBJECTS_MAX])
{
    (void)session;
    assert_int_equal(what->id.len, sizeof(on.id));
    if (on.refuses_modifiable && what->modifiable_said) {
        return FAIL_DETAIL(E_TOKEN, CKR_ATTRIBUTE_TYPE_INVALID, "C_GenerateKey");
    }
    memcpy(on.id, what->id.ptr, sizeof(on.id));
    memset(on.label, 0, sizeof(on.label));
    memcpy(on.label, what->label.ptr, what->label.len);
    on.id[0] ^= on.other_id ? 1 : 0;
    on.label[what->label.len - 1] ^= on.other_label ? 1 : 0;
    on.there = true;
    on.made++;
    ret_handles[0] = 1;
    return on.handle_none > 0 ? FAIL(E_PROTOCOL, "a handle that is none") : OK;
}

static err_t fingerprint(const struct session *session, const struct wrap_kek *kek,
                         uint8_t ret_bytes[IPC_FINGERPRINT_MAX], uint8_t *ret_len)
{
    (void)session;
    assert_int_equal(kek->handles[0], 1);
    memset(ret_bytes, 0x5a, 16);
    *ret_len = 16;
    return OK;
}

/* The AAD's first byte, then the data. */
static err_t wrap(const struct session *session, const struct wrap_kek *kek, struct span aad,
                  struct span data, struct span_mut out, size_t *ret_len)
{
    (void)session;
    (void)kek;
    out.ptr[0] = aad.ptr[0];
    memcpy(out.ptr + 1, data.ptr, data.len);
    *ret_len = data.len + 1;
    return OK;
}

static err_t unwrap(const struct session *session, const struct wrap_kek *kek, struct span aad,
                    struct span wrapped, struct span_mut out, size_t *ret_len)
{
    (void)session;
    (void)kek;
    if (wrapped.ptr[0] != aad.ptr[0]) {
        return FAIL(E_CRYPTO, "the bytes do not authenticate");
    }
    memcpy(out.ptr, wrapped.ptr + 1, wrapped.len - 1);
    *ret_len = wrapped.len - 1;
    return OK;
}

static bool is_refusal(err_t err)
{
    return err.code == E_CRYPTO;
}

static const struct wrap_scheme first = {.number = 1,
                                         .objects_n = 1,
                                         .objects = {&kind},
                                         .generate = make,
                                         .fingerprint = fingerprint,
                                         .wrap = wrap,
                                         .unwrap = unwrap,
                                         .is_refusal = is_refusal};
static const struct wrap_scheme second = {.number = 2, .objects_n = 1, .objects = {&kind}};

const struct wrap_scheme *const *__wrap_wrap_table(size_t *ret_n);
const struct wrap_scheme *const *__wrap_wrap_table(size_t *ret_n)
{
    static const struct wrap_scheme *const table[] = {&first, &second};
    *ret_n = 2;
    return table;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *ctx, CK_NOTIFY notify,
                          CK_SESSION_HANDLE_PTR session)
{
    (void)slot;
    (void)ctx;
    (void)notify;
    assert_int_equal(flags, CKF_SERIAL_SESSION | CKF_RW_SESSION);
    *session = 9;
    return CKR_OK;
}

static CK_RV close_session(CK_SESSION_HANDLE session)
{
    assert_int_equal(session, 9);
    return CKR_OK;
}

static bool found;

static CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR want, CK_ULONG n)
{
    (void)session;
    assert_int_equal(n, 4);
    assert_int_equal(want[3].ulValueLen, sizeof(on.id));
    found = on.there && memcmp(on.id, want[3].pValue, sizeof(on.id)) == 0;
    return CKR_OK;
}

static CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE_PTR handles, CK_ULONG max,
                  CK_ULONG_PTR n)
{
    (void)session;
    assert_true(max > 0);
    *n = found;
    handles[0] = 1;
    found = false;
    return CKR_OK;
}

static CK_RV find_final(CK_SESSION_HANDLE session)
{
    (void)session;
    return CKR_OK;
}

static CK_RV get_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key,
                           CK_ATTRIBUTE_PTR attribute, CK_ULONG n)
{
    (void)session;
    assert_int_equal(key, 1);
    assert_int_equal(n, 1);
    if (attribute->type == CKA_ID) {
        memcpy(attribute->pValue, on.id, sizeof(on.id));
        attribute->ulValueLen = sizeof(on.id);
    } else {
        assert_int_equal(attribute->type, CKA_LABEL);
        memcpy(attribute->pValue, on.label, strlen(on.label));
        attribute->ulValueLen = strlen(on.label);
    }
    return CKR_OK;
}

static CK_FUNCTION_LIST functions = {.C_OpenSession = open_session,
                                     .C_CloseSession = close_session,
                                     .C_FindObjectsInit = find_init,
                                     .C_FindObjects = find,
                                     .C_FindObjectsFinal = find_final,
                                     .C_GetAttributeValue = get_attribute};
static const struct module module = {.fn = &functions, .initialised = true};
static const struct token token = {.label = "test", .serial = "1"};
static const struct session session = {.module = &module, .token = &token, .open = true};
static const struct ipc_generate wanted = {.ring = "test", .id = {7, 8}, .scheme = 1};

static int empty_token(void **state)
{
    (void)state;
    memset(&on, 0, sizeof(on));
    return 0;
}

static void test_generate_makes_one_and_finds_it_again(void **state)
{
    (void)state;
    struct ipc_key key;
    struct ipc_key again;
    assert_ok(generate_key(&session, &wanted, &key));
    assert_int_equal(key.state, IPC_KEY_READ);
    assert_int_equal(key.ref.scheme, 1);
    assert_string_equal(key.label, on.label);
    assert_ok(generate_key(&session, &wanted, &again));
    assert_int_equal(on.made, 1);
    assert_string_equal(again.label, key.label);
}

static void test_generate_label_that_is_not_kept_is_refused(void **state)
{
    (void)state;
    struct ipc_key key;
    on.other_label = true;
    err_t err = generate_key(&session, &wanted, &key);
    assert_fails(err, E_UNSUPPORTED);
    assert_int_equal(err.detail, 0);
}

static void test_generate_id_that_is_not_kept_is_refused(void **state)
{
    (void)state;
    struct ipc_key key;
    on.other_id = true;
    assert_fails(generate_key(&session, &wanted, &key), E_UNSUPPORTED);
}

static void test_generate_without_modifiable_where_it_is_refused(void **state)
{
    (void)state;
    struct ipc_key key;
    on.refuses_modifiable = true;
    assert_ok(generate_key(&session, &wanted, &key));
    assert_int_equal(on.made, 1);
}

static void test_generate_made_under_no_handle_is_found_by_its_id(void **state)
{
    (void)state;
    struct ipc_key key;
    on.handle_none = 1;
    assert_ok(generate_key(&session, &wanted, &key));
    assert_string_equal(key.label, on.label);
    assert_int_equal(on.made, 1);
}

static void test_generate_id_of_another_scheme_or_ring_is_refused(void **state)
{
    (void)state;
    struct ipc_key key;
    struct ipc_generate other = wanted;
    assert_ok(generate_key(&session, &wanted, &key));
    other.scheme = 2;
    assert_fails(generate_key(&session, &other, &key), E_UNSUPPORTED);
    other = wanted;
    other.ring[0] = 'r';
    assert_fails(generate_key(&session, &other, &key), E_UNSUPPORTED);
    assert_int_equal(on.made, 1);
}

static void test_generate_unknown_scheme_makes_nothing(void **state)
{
    (void)state;
    struct ipc_key key;
    struct ipc_generate other = wanted;
    other.scheme = 3;
    assert_fails(generate_key(&session, &other, &key), E_UNSUPPORTED);
    assert_int_equal(on.made, 0);
}

#define ON_TOKEN(test_) cmocka_unit_test_setup(test_, empty_token)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generate_times_nothing_asked_is_now),
        cmocka_unit_test(test_generate_times_floor_lies_ahead_is_taken),
        cmocka_unit_test(test_generate_times_created_lies_ahead_is_taken),
        cmocka_unit_test(test_generate_times_notice_at_the_limit_passes_one_less_fails),
        cmocka_unit_test(test_generate_times_not_before_in_the_past_fails),
        cmocka_unit_test(test_generate_times_clock_out_of_range_fails),
        ON_TOKEN(test_generate_makes_one_and_finds_it_again),
        ON_TOKEN(test_generate_label_that_is_not_kept_is_refused),
        ON_TOKEN(test_generate_id_that_is_not_kept_is_refused),
        ON_TOKEN(test_generate_without_modifiable_where_it_is_refused),
        ON_TOKEN(test_generate_made_under_no_handle_is_found_by_its_id),
        ON_TOKEN(test_generate_id_of_another_scheme_or_ring_is_refused),
        ON_TOKEN(test_generate_unknown_scheme_makes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
