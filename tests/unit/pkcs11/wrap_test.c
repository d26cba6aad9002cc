/*
 * Which KEKs are on a token, and of which scheme: a table and a module of the test's own.
 */
#include "pkcs11/wrap.h"

#include <string.h>

#include "pkcs11/find.h"
#include "tests/kit/unit.h"

#define OBJECTS_MAX 2000

static const struct wrap_object aes = {.class = CKO_SECRET_KEY, .type = CKK_AES};
static const struct wrap_object mac = {.class = CKO_SECRET_KEY, .type = CKK_GENERIC_SECRET};
static const struct wrap_object rsa = {.class = CKO_PRIVATE_KEY, .type = CKK_RSA};
static const struct wrap_object ec = {.class = CKO_PRIVATE_KEY, .type = CKK_EC};

static const struct wrap_scheme pair = {.number = 2, .objects_n = 2, .objects = {&aes, &mac}};
static const struct wrap_scheme alone = {.number = 1, .objects_n = 1, .objects = {&aes}};
static const struct wrap_scheme signing = {.number = 3, .objects_n = 2, .objects = {&rsa, &ec}};

const struct wrap_scheme *const *__wrap_wrap_table(size_t *ret_n);
const struct wrap_scheme *const *__wrap_wrap_table(size_t *ret_n)
{
    static const struct wrap_scheme *const table[] = {&pair, &alone, &signing};
    *ret_n = 3;
    return table;
}

/* Object i has the handle i + 1. */
static struct {
    const struct wrap_object *kind;
    uint8_t id;
} objects[OBJECTS_MAX];
static size_t objects_n;
static CK_OBJECT_CLASS class;
static CK_KEY_TYPE type;
static int id; /* -1: any */
static size_t next;
static unsigned searches;
static CK_RV fails;

static CK_OBJECT_HANDLE put(const struct wrap_object *kind, uint8_t key_id)
{
    assert_true(objects_n < OBJECTS_MAX);
    objects[objects_n].kind = kind;
    objects[objects_n++].id = key_id;
    return objects_n;
}

static CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR want, CK_ULONG n)
{
    (void)session;
    assert_true(n == 3 || n == 4);
    memcpy(&class, want[0].pValue, sizeof(class));
    memcpy(&type, want[1].pValue, sizeof(type));
    id = n == 4 ? *(uint8_t *)want[3].pValue : -1;
    next = 0;
    searches++;
    return fails;
}

static CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE_PTR handles, CK_ULONG max,
                  CK_ULONG_PTR n)
{
    (void)session;
    *n = 0;
    for (; next < objects_n && *n < max; next++) {
        if (objects[next].kind->class == class && objects[next].kind->type == type &&
            (id < 0 || objects[next].id == id)) {
            handles[(*n)++] = next + 1;
        }
    }
    return CKR_OK;
}

static CK_RV find_final(CK_SESSION_HANDLE session)
{
    (void)session;
    return CKR_OK;
}

static CK_FUNCTION_LIST functions = {
    .C_FindObjectsInit = find_init, .C_FindObjects = find, .C_FindObjectsFinal = find_final};
static const struct module module = {.fn = &functions, .initialised = true};
static const struct token token = {.label = "test", .serial = "1"};
static const struct session session = {.module = &module, .token = &token, .open = true};
static struct wrap_kek keks[WRAP_KEKS_MAX];

static int set_up(void **state)
{
    (void)state;
    objects_n = 0;
    searches = 0;
    fails = CKR_OK;
    return 0;
}

static struct span span_of_id(const uint8_t *key_id)
{
    return span_of(key_id, 1);
}

static void test_scheme_of_each_number_or_none(void **state)
{
    (void)state;
    assert_ptr_equal(wrap_scheme(1), &alone);
    assert_ptr_equal(wrap_scheme(2), &pair);
    assert_ptr_equal(wrap_scheme(3), &signing);
    assert_null(wrap_scheme(0));
    assert_null(wrap_scheme(4));
}

static void test_find_first_objects_of_all_schemes_each_once(void **state)
{
    (void)state;
    size_t n = 0;
    CK_OBJECT_HANDLE first = put(&aes, 1);
    (void)put(&mac, 1);
    (void)put(&ec, 3);
    CK_OBJECT_HANDLE second = put(&aes, 2);
    CK_OBJECT_HANDLE third = put(&rsa, 3);
    assert_ok(wrap_find(&session, span_of(NULL, 0), keks, WRAP_KEKS_MAX, &n));
    assert_int_equal(n, 3);
    assert_int_equal(keks[0].handles[0], first);
    assert_int_equal(keks[1].handles[0], second);
    assert_int_equal(keks[2].handles[0], third);
    assert_int_equal(searches, 2); /* two schemes begin with an AES key */
}

static void test_find_of_an_id_finds_no_others(void **state)
{
    (void)state;
    static const uint8_t wanted = 2;
    size_t n = 0;
    (void)put(&aes, 1);
    CK_OBJECT_HANDLE second = put(&aes, 2);
    assert_ok(wrap_find(&session, span_of_id(&wanted), keks, WRAP_KEKS_MAX, &n));
    assert_int_equal(n, 1);
    assert_int_equal(keks[0].handles[0], second);
}

static void test_find_limit_holds_at_and_past(void **state)
{
    (void)state;
    size_t n = 0;
    for (size_t i = 0; i < WRAP_KEKS_MAX; i++) {
        (void)put(i % 2 == 0 ? &aes : &rsa, 1);
    }
    assert_ok(wrap_find(&session, span_of(NULL, 0), keks, WRAP_KEKS_MAX, &n));
    assert_int_equal(n, WRAP_KEKS_MAX);
    (void)put(&rsa, 1);
    assert_fails(wrap_find(&session, span_of(NULL, 0), keks, WRAP_KEKS_MAX, &n), E_LIMIT);
}

static void test_complete_other_object_of_the_id_settles_the_scheme(void **state)
{
    (void)state;
    static const uint8_t one = 1;
    static const uint8_t two = 2;
    struct wrap_kek kek = {.scheme = &pair, .handles = {put(&aes, 1)}};
    struct wrap_kek lone = {.scheme = &pair, .handles = {put(&aes, 2)}};
    CK_OBJECT_HANDLE other = put(&mac, 1);
    assert_ok(wrap_complete(&session, span_of_id(&one), &kek));
    assert_ptr_equal(kek.scheme, &pair);
    assert_int_equal(kek.handles[1], other);
    assert_ok(wrap_complete(&session, span_of_id(&two), &lone));
    assert_ptr_equal(lone.scheme, &alone);
    assert_int_equal(lone.handles[1], 0);
}

static void test_complete_two_others_are_not_told_apart(void **state)
{
    (void)state;
    static const uint8_t one = 1;
    struct wrap_kek kek = {.scheme = &pair, .handles = {put(&aes, 1)}};
    (void)put(&mac, 1);
    (void)put(&mac, 1);
    assert_fails(wrap_complete(&session, span_of_id(&one), &kek), E_LIMIT);
    objects_n--;
    (void)put(&ec, 1);
    assert_ok(wrap_complete(&session, span_of_id(&one), &kek));
    assert_ptr_equal(kek.scheme, &pair);
}

static void test_complete_without_its_other_object_is_no_kek(void **state)
{
    (void)state;
    static const uint8_t one = 1;
    struct wrap_kek kek = {.scheme = &signing, .handles = {put(&rsa, 1)}};
    (void)put(&mac, 1);
    assert_fails(wrap_complete(&session, span_of_id(&one), &kek), E_NOT_FOUND);
    assert_int_equal(kek.handles[1], 0);
}

/* A KEK of two objects must not be taken for one of the first alone. */
static void test_complete_look_that_fails_says_nothing_of_the_scheme(void **state)
{
    (void)state;
    static const uint8_t one = 1;
    struct wrap_kek kek = {.scheme = &alone, .handles = {put(&aes, 1)}};
    fails = CKR_DEVICE_ERROR;
    assert_fails(wrap_complete(&session, span_of_id(&one), &kek), E_TOKEN);
}

#define WRAP_TEST(test_) cmocka_unit_test_setup(test_, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRAP_TEST(test_scheme_of_each_number_or_none),
        WRAP_TEST(test_find_first_objects_of_all_schemes_each_once),
        WRAP_TEST(test_find_of_an_id_finds_no_others),
        WRAP_TEST(test_find_limit_holds_at_and_past),
        WRAP_TEST(test_complete_other_object_of_the_id_settles_the_scheme),
        WRAP_TEST(test_complete_two_others_are_not_told_apart),
        WRAP_TEST(test_complete_without_its_other_object_is_no_kek),
        WRAP_TEST(test_complete_look_that_fails_says_nothing_of_the_scheme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
