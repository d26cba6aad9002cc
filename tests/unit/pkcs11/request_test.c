/* Frames of a client: what fits to the byte, and one less or more. */
#include "pkcs11/request.h"

#include <string.h>

#include "tests/kit/unit.h"

static struct request request;

static void test_list_fits_with_a_ring_that_ends(void **state)
{
    (void)state;
    struct ipc_list ask = {.ring = "test"};
    assert_true(request_list(span_of(&ask, sizeof(ask)), &request));
    assert_string_equal(request.ask.list.ring, "test");
    assert_false(request_list(span_of(&ask, sizeof(ask) - 1), &request));
    memset(ask.ring, 'r', sizeof(ask.ring));
    assert_false(request_list(span_of(&ask, sizeof(ask)), &request));
}

static void test_list_serving_key_is_looked_at_when_there_is_one(void **state)
{
    (void)state;
    struct ipc_list ask = {.ring = "test", .serving = {.id_len = 0}};
    assert_true(request_list(span_of(&ask, sizeof(ask)), &request));
    ask.has_serving = 1;
    assert_false(request_list(span_of(&ask, sizeof(ask)), &request));
    ask.serving.id_len = IPC_ID_MAX;
    ask.serving.fingerprint_len = IPC_FINGERPRINT_MAX;
    assert_true(request_list(span_of(&ask, sizeof(ask)), &request));
    ask.serving.id_len = IPC_ID_MAX + 1;
    assert_false(request_list(span_of(&ask, sizeof(ask)), &request));
    ask.serving.id_len = 1;
    ask.serving.fingerprint_len = IPC_FINGERPRINT_MAX + 1;
    assert_false(request_list(span_of(&ask, sizeof(ask)), &request));
}

static void test_generate_fits_with_a_name_and_a_limit(void **state)
{
    (void)state;
    struct ipc_generate ask = {.ring = "r", .limit_s = IPC_GENERATE_MAX_S, .not_before = 9};
    assert_true(request_generate(span_of(&ask, sizeof(ask)), &request));
    assert_int_equal(request.ask.generate.not_before, 9);
    ask.limit_s++;
    assert_false(request_generate(span_of(&ask, sizeof(ask)), &request));
    ask.limit_s = 0;
    ask.ring[0] = '\0';
    assert_false(request_generate(span_of(&ask, sizeof(ask)), &request));
    assert_false(request_generate(span_of(NULL, 0), &request));
}

static void test_crypt_fits_with_as_much_data_as_it_says(void **state)
{
    (void)state;
    uint8_t frame[sizeof(struct ipc_crypt) + 4] = {0};
    struct ipc_crypt ask = {.key = {.id_len = 1}, .aad_len = IPC_AAD_MAX, .data_len = 3};
    memcpy(frame, &ask, sizeof(ask));
    assert_true(request_crypt(span_of(frame, sizeof(frame) - 1), &request));
    assert_ptr_equal(request.data.ptr, frame + sizeof(ask));
    assert_int_equal(request.data.len, 3);
    assert_false(request_crypt(span_of(frame, sizeof(frame)), &request));
    assert_false(request_crypt(span_of(frame, sizeof(frame) - 2), &request));
    assert_false(request_crypt(span_of(frame, sizeof(ask) - 1), &request));
}

static void test_crypt_without_data_key_or_with_a_long_aad_does_not_fit(void **state)
{
    (void)state;
    uint8_t frame[sizeof(struct ipc_crypt) + 1] = {0};
    struct ipc_crypt asks[] = {{.key = {.id_len = 1}, .data_len = 0},
                               {.key = {.id_len = 0}, .data_len = 1},
                               {.key = {.id_len = 1}, .data_len = 1, .aad_len = IPC_AAD_MAX + 1}};
    for (size_t i = 0; i < 3; i++) {
        memcpy(frame, &asks[i], sizeof(asks[i]));
        assert_false(request_crypt(span_of(frame, sizeof(asks[i]) + asks[i].data_len), &request));
    }
}

static void test_random_limit_holds_at_and_past(void **state)
{
    (void)state;
    static const uint32_t ns[] = {1, 256, 0, 257};
    for (size_t i = 0; i < 4; i++) {
        struct ipc_random ask = {.n = ns[i]};
        assert_int_equal(request_random(span_of(&ask, sizeof(ask)), &request), i < 2);
    }
    assert_false(request_random(span_of(NULL, 0), &request));
}

static void test_empty_fits_nothing_alone(void **state)
{
    (void)state;
    assert_true(request_empty(span_of(NULL, 0), &request));
    assert_false(request_empty(span_of("x", 1), &request));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_fits_with_a_ring_that_ends),
        cmocka_unit_test(test_list_serving_key_is_looked_at_when_there_is_one),
        cmocka_unit_test(test_generate_fits_with_a_name_and_a_limit),
        cmocka_unit_test(test_crypt_fits_with_as_much_data_as_it_says),
        cmocka_unit_test(test_crypt_without_data_key_or_with_a_long_aad_does_not_fit),
        cmocka_unit_test(test_random_limit_holds_at_and_past),
        cmocka_unit_test(test_empty_fits_nothing_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
