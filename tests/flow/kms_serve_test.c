/*
 * The plain days: start, Status, Encrypt, Decrypt, v1 and v2, what is refused, what is asked of the
 * token.
 */
#include <string.h>

#include "keys/key_id.h"
#include "server/kms/calls.h"
#include "tests/flow/kms_fixture.h"

static void test_status_serving_says_ok_and_key_id(void **state)
{
    struct world *world = *state;
    world_serve(world);
    int32_t status = world_status(world, SERVICE_AUTHORITY_OTHER);
    assert_answer_ok(world, status);
    assert_string_equal(world->answers[status].healthz, "ok");
    assert_string_equal(world->answers[status].version, "v2");
    assert_int_equal(strncmp(world->answers[status].key_id, "p11-kms/1/", 10), 0);
}

static void test_status_version_follows_the_authority(void **state)
{
    struct world *world = *state;
    world_serve(world);
    int32_t path = world_status(world, SERVICE_AUTHORITY_PATH);
    int32_t abstract = world_status(world, SERVICE_AUTHORITY_ABSTRACT);
    assert_string_equal(world->answers[path].version, "v2beta1");
    assert_string_equal(world->answers[abstract].version, "v2beta1");
}

static void test_v1_turned_off_is_unsupported_until_it_is_on_again_and_v2_goes_on(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer of_v1 = world->answers[world_encrypt(world, CODEC_V1_ENCRYPT, "x")];
    struct answer of_v2 = world->answers[world_encrypt(world, CODEC_V2_ENCRYPT, "x")];
    const struct codec_request version = {.version = span_of_text("v1beta1")};
    world->config.kms_v1 = CONFIG_V1_OFF;
    service_reload(world->service, &world->config);
    assert_answer_fails(world, world_send(world, CODEC_V1_VERSION, &version, INT64_MAX),
                        E_UNSUPPORTED);
    assert_answer_fails(world, world_encrypt(world, CODEC_V1_ENCRYPT, "x"), E_UNSUPPORTED);
    assert_answer_fails(world, world_decrypt_of(world, &of_v1), E_UNSUPPORTED);
    assert_answer_ok(world, world_status(world, SERVICE_AUTHORITY_OTHER));
    assert_answer_ok(world, world_decrypt_of(world, &of_v2));
    assert_answer_ok(world, world_encrypt(world, CODEC_V2_ENCRYPT, "x"));
    world->config.kms_v1 = CONFIG_V1_ON;
    service_reload(world->service, &world->config);
    assert_answer_ok(world, world_decrypt_of(world, &of_v1));
}

static void test_encrypt_then_decrypt_returns_the_plaintext(void **state)
{
    struct world *world = *state;
    world_serve(world);
    const enum codec_method methods[] = {CODEC_V2_ENCRYPT, CODEC_V1_ENCRYPT};
    for (size_t i = 0; i < 2; i++) {
        int32_t sealed = world_encrypt(world, methods[i], "0123456789abcdef0123456789abcdef");
        assert_answer_ok(world, sealed);
        int32_t opened = world_decrypt_of(world, &world->answers[sealed]);
        assert_answer_ok(world, opened);
        assert_int_equal(world->answers[opened].payload_len, 32);
        assert_memory_equal(world->answers[opened].payload, "0123456789abcdef0123456789abcdef", 32);
    }
}

static void test_encrypt_key_id_equals_that_of_status(void **state)
{
    struct world *world = *state;
    world_serve(world);
    int32_t status = world_status(world, SERVICE_AUTHORITY_OTHER);
    int32_t sealed = world_encrypt(world, CODEC_V2_ENCRYPT, "x");
    assert_string_equal(world->answers[status].key_id, world->answers[sealed].key_id);
}

static void test_version_v1_says_v1beta1(void **state)
{
    struct world *world = *state;
    world_serve(world);
    const struct codec_request request = {.version = span_of_text("v1beta1")};
    int32_t version = world_send(world, CODEC_V1_VERSION, &request, INT64_MAX);
    assert_answer_ok(world, version);
    assert_string_equal(world->answers[version].version, "v1beta1");
    assert_string_equal(world->answers[version].runtime, "p11-kms");
}

static void test_encrypt_sizes_at_and_past_the_limits(void **state)
{
    struct world *world = *state;
    world_serve(world);
    char text[514];
    memset(text, 'a', sizeof(text));
    text[513] = '\0';
    assert_answer_fails(world, world_encrypt(world, CODEC_V2_ENCRYPT, ""), E_INVALID);
    assert_answer_fails(world, world_encrypt(world, CODEC_V2_ENCRYPT, text), E_INVALID);
    text[512] = '\0';
    int32_t sealed = world_encrypt(world, CODEC_V2_ENCRYPT, text);
    assert_answer_ok(world, sealed);
    assert_true(world->answers[sealed].payload_len <= 1024);
    assert_answer_ok(world, world_decrypt_of(world, &world->answers[sealed]));
}

static void test_decrypt_any_changed_bit_is_refused(void **state)
{
    struct world *world = *state;
    world_serve(world);
    int32_t sealed = world_encrypt(world, CODEC_V2_ENCRYPT, "0123456789abcdef");
    struct answer original = world->answers[sealed];
    for (size_t i = 0; i < original.payload_len; i++) {
        struct answer changed = original;
        changed.payload[i] ^= 1;
        int32_t opened = world_decrypt_of(world, &changed);
        world_settle(world);
        world_pass(world, 1);
        if (!world->answers[opened].has) {
            world_pass(world, 3000);
        }
        assert_true(world->answers[opened].has);
        assert_int_not_equal(world->answers[opened].code, E_NONE);
        world->next_stream = opened;
    }
    assert_answer_ok(world, world_decrypt_of(world, &original));
}

static void test_decrypt_wrong_field_is_refused_by_its_class(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer v2 = world->answers[world_encrypt(world, CODEC_V2_ENCRYPT, "x")];
    struct answer changed = v2;
    assert_answer_fails(
        world, world_decrypt(world, CODEC_V1_DECRYPT, v2.payload, v2.payload_len, ""), E_INVALID);
    assert_answer_fails(
        world, world_decrypt(world, CODEC_V2_DECRYPT, v2.payload, v2.payload_len, "k"), E_INVALID);
    assert_answer_fails(world, world_decrypt(world, CODEC_V2_DECRYPT, "", 0, v2.key_id), E_INVALID);
    assert_answer_fails(world, world_decrypt(world, CODEC_V2_DECRYPT, "junk", 4, v2.key_id),
                        E_INVALID);
    changed.payload[8] ^= 1; /* realm */
    assert_answer_fails(world, world_decrypt_of(world, &changed), E_NOT_FOUND);
    changed = v2;
    changed.payload[changed.payload_len - 1] ^= 1; /* tag */
    int32_t refused = world_decrypt_of(world, &changed);
    assert_answer_fails(world, refused, E_CRYPTO);
    assert_string_equal(world->answers[refused].text, "the ciphertext cannot be opened");
}

static void test_decrypt_512_identical_cold_ask_the_token_once(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "seed of another node");
    unsigned before = fake_token_calls(world->token, IPC_UNWRAP);
    int32_t first = world->next_stream;
    for (int i = 0; i < 512; i++) {
        int32_t stream = world_decrypt_of(world, &foreign);
        assert_false(world->answers[stream].has);
    }
    world_settle(world);
    for (int32_t i = first; i < first + 512; i++) {
        assert_answer_ok(world, i);
        assert_int_equal(world->answers[i].times, 1);
    }
    assert_int_equal(fake_token_calls(world->token, IPC_UNWRAP), before + 1);
}

static void test_decrypt_513th_waiting_call_is_refused(void **state)
{
    struct world *world = *state;
    world_serve(world);
    fake_token_hang(world->token, true);
    struct answer foreign = world_foreign(world, 0, "x");
    for (int i = 0; i < 512; i++) {
        assert_false(world->answers[world_decrypt_of(world, &foreign)].has);
    }
    assert_answer_fails(world, world_decrypt_of(world, &foreign), E_LIMIT);
    fake_token_hang(world->token, false);
}

/* It would rather wait for the first proof, and there is no place left to wait. */
static void test_status_with_every_place_to_wait_taken_is_answered_at_once(void **state)
{
    struct world *world = *state;
    world_start_alone(world);
    struct answer foreign = world_foreign(world, 0, "x");
    for (unsigned i = 0; i < CALLS_MAX; i++) {
        assert_false(world->answers[world_decrypt_of(world, &foreign)].has);
    }
    assert_answer_fails(world, world_status(world, SERVICE_AUTHORITY_OTHER), E_UNAVAILABLE);
}

static void test_decrypt_241_cold_seeds_at_once_leave_room_for_the_canary(void **state)
{
    struct world *world = *state;
    world_serve(world);
    fake_token_hang(world->token, true);
    for (int i = 0; i < 240; i++) {
        struct answer foreign = world_foreign(world, 0, "x");
        assert_false(world->answers[world_decrypt_of(world, &foreign)].has);
    }
    struct answer foreign = world_foreign(world, 0, "x");
    assert_answer_fails(world, world_decrypt_of(world, &foreign), E_LIMIT);
    unsigned before = fake_token_calls(world->token, IPC_UNWRAP);
    fake_token_hang(world->token, false);
    world_settle(world);
    for (int32_t i = world->next_stream - 241; i < world->next_stream - 1; i++) {
        assert_answer_ok(world, i);
    }
    assert_int_equal(fake_token_calls(world->token, IPC_UNWRAP), before + 240);
    assert_answer_ok(world, world_encrypt(world, CODEC_V2_ENCRYPT, "x"));
}

static void test_encrypt_129th_that_waits_is_refused_and_the_others_served(void **state)
{
    struct world *world = *state;
    world_start_alone(world);
    int32_t first = world->next_stream;
    for (int i = 0; i < 128; i++) {
        assert_false(world->answers[world_encrypt(world, CODEC_V1_ENCRYPT, "x")].has);
    }
    assert_answer_fails(world, world_encrypt(world, CODEC_V1_ENCRYPT, "x"), E_LIMIT);
    world_token_back(world);
    world_pass(world, 2450);
    for (int32_t i = first; i < first + 128; i++) {
        assert_answer_ok(world, i);
    }
}

static void test_decrypt_token_that_says_no_is_told_by_its_class(void **state)
{
    const struct {
        enum ipc_outcome outcome;
        enum err_code code;
    } cases[] = {{IPC_NO_KEY, E_NOT_FOUND},
                 {IPC_UNAVAILABLE, E_UNAVAILABLE},
                 {IPC_BUSY, E_LIMIT},
                 {IPC_REFUSED, E_TOKEN},
                 {IPC_DATA, E_CRYPTO}};
    struct world *world = *state;
    world_serve(world);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct answer foreign = world_foreign(world, 0, "x");
        fake_token_refuse(world->token, IPC_UNWRAP, cases[i].outcome, 0x30);
        int32_t stream = world_decrypt_of(world, &foreign);
        world_settle(world);
        assert_answer_fails(world, stream, cases[i].code);
    }
}

static void test_decrypt_cancelled_is_never_answered(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    unsigned before = fake_token_calls(world->token, IPC_UNWRAP);
    int32_t gone = world_decrypt_of(world, &foreign);
    world_cancel(world, gone);
    world_settle(world);
    assert_false(world->answers[gone].has);
    assert_int_equal(fake_token_calls(world->token, IPC_UNWRAP), before);
    int32_t stays = world_decrypt_of(world, &foreign);
    int32_t goes = world_decrypt_of(world, &foreign);
    world_cancel(world, goes);
    world_settle(world);
    assert_answer_ok(world, stays);
    assert_false(world->answers[goes].has);
}

static void test_decrypt_unknown_kek_lists_all_then_not_found(void **state)
{
    struct world *world = *state;
    world_serve(world);
    size_t key = fake_token_add_key(world->token, "other", 5, 5);
    struct answer foreign = world_foreign(world, key, "x");
    fake_token_key(world->token, key)->gone = true;
    int32_t stream = world_decrypt_of(world, &foreign);
    assert_false(world->answers[stream].has);
    world_pass(world, 1100);
    assert_answer_fails(world, stream, E_NOT_FOUND);
    char hash[KEY_ID_HASH_LEN + 1];
    assert_ok(key_id_hash(span_of_text(foreign.key_id), hash));
    assert_non_null(strstr(world->answers[stream].text, hash));
}

static void test_decrypt_key_outside_the_ring_is_found(void **state)
{
    struct world *world = *state;
    world_serve(world);
    size_t key = fake_token_add_key(world->token, "other", 5, 5);
    struct answer foreign = world_foreign(world, key, "x");
    int32_t stream = world_decrypt_of(world, &foreign);
    world_pass(world, 1100);
    assert_answer_ok(world, stream);
}

static void test_decrypt_unknown_keks_list_once_a_second(void **state)
{
    struct world *world = *state;
    world_serve(world);
    size_t key = fake_token_add_key(world->token, "other", 5, 5);
    fake_token_key(world->token, key)->gone = true;
    unsigned before = fake_token_calls(world->token, IPC_LIST);
    for (int i = 0; i < 50; i++) {
        struct answer foreign = world_foreign(world, key, "x");
        (void)world_decrypt_of(world, &foreign);
        world_pass(world, 100);
    }
    assert_in_range(fake_token_calls(world->token, IPC_LIST) - before, 4, 7);
}

static void test_decrypt_blob_that_never_opens_is_asked_once_a_minute(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    foreign.payload[70] ^= 1; /* within the wrapped seed */
    unsigned before = fake_token_calls(world->token, IPC_UNWRAP);
    for (int i = 0; i < 5; i++) {
        int32_t stream = world_decrypt_of(world, &foreign);
        world_settle(world);
        assert_answer_fails(world, stream, E_CRYPTO);
    }
    assert_int_equal(fake_token_calls(world->token, IPC_UNWRAP), before + 1);
    world_pass(world, 60000);
    before = fake_token_calls(world->token, IPC_UNWRAP);
    (void)world_decrypt_of(world, &foreign);
    world_settle(world);
    assert_int_equal(fake_token_calls(world->token, IPC_UNWRAP), before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_status_serving_says_ok_and_key_id),
        IN_WORLD(test_status_version_follows_the_authority),
        IN_WORLD(test_status_with_every_place_to_wait_taken_is_answered_at_once),
        IN_WORLD(test_v1_turned_off_is_unsupported_until_it_is_on_again_and_v2_goes_on),
        IN_WORLD(test_encrypt_then_decrypt_returns_the_plaintext),
        IN_WORLD(test_encrypt_key_id_equals_that_of_status),
        IN_WORLD(test_version_v1_says_v1beta1),
        IN_WORLD(test_encrypt_sizes_at_and_past_the_limits),
        IN_WORLD(test_decrypt_any_changed_bit_is_refused),
        IN_WORLD(test_decrypt_wrong_field_is_refused_by_its_class),
        IN_WORLD(test_decrypt_512_identical_cold_ask_the_token_once),
        IN_WORLD(test_decrypt_513th_waiting_call_is_refused),
        IN_WORLD(test_decrypt_241_cold_seeds_at_once_leave_room_for_the_canary),
        IN_WORLD(test_encrypt_129th_that_waits_is_refused_and_the_others_served),
        IN_WORLD(test_decrypt_token_that_says_no_is_told_by_its_class),
        IN_WORLD(test_decrypt_cancelled_is_never_answered),
        IN_WORLD(test_decrypt_unknown_kek_lists_all_then_not_found),
        IN_WORLD(test_decrypt_key_outside_the_ring_is_found),
        IN_WORLD(test_decrypt_unknown_keks_list_once_a_second),
        IN_WORLD(test_decrypt_blob_that_never_opens_is_asked_once_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
