/*
 * What a token says once, and wrongly: none of it is kept, sealed with, or told to a client as the
 * truth.
 */
#include <string.h>

#include "keys/key_id.h"
#include "server/kms/remember.h"
#include "tests/flow/kms_fixture.h"

static struct answer with_another_commitment(const struct answer *sealed)
{
    struct answer changed = *sealed;
    size_t wrapped = (size_t)sealed->payload[48] << 8 | sealed->payload[49];
    changed.payload[50 + wrapped + 32] ^= 1;
    return changed;
}

static void test_decrypt_seed_opened_wrongly_is_asked_for_once_more(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    unsigned before = fake_token_calls(world->token, IPC_UNWRAP);
    fake_token_fault(world->token, IPC_UNWRAP, FAKE_CORRUPT);
    int32_t stream = world_decrypt_of(world, &foreign);
    world_settle(world);
    assert_answer_ok(world, stream);
    assert_int_equal(fake_token_calls(world->token, IPC_UNWRAP), before + 2);
}

static void test_decrypt_seed_opened_wrongly_twice_is_refused_and_right_later(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    fake_token_fault(world->token, IPC_UNWRAP, FAKE_CORRUPT);
    fake_token_fault(world->token, IPC_UNWRAP, FAKE_CORRUPT);
    int32_t refused = world_decrypt_of(world, &foreign);
    world_settle(world);
    assert_answer_fails(world, refused, E_CRYPTO);
    world_pass(world, 2000);
    int32_t opened = world_decrypt_of(world, &foreign);
    world_settle(world);
    assert_answer_ok(world, opened);
}

/* However many envelopes commit to something else, they cost one question more in two seconds. */
static void test_decrypt_512_with_another_commitment_ask_the_token_twice(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    struct answer changed = with_another_commitment(&foreign);
    unsigned before = fake_token_calls(world->token, IPC_UNWRAP);
    int32_t first = world->next_stream;
    for (int i = 0; i < 512; i++) {
        (void)world_decrypt_of(world, &changed);
    }
    world_settle(world);
    for (int32_t i = first; i < first + 512; i++) {
        assert_answer_fails(world, i, E_CRYPTO);
    }
    assert_answer_fails(world, world_decrypt_of(world, &changed), E_CRYPTO);
    assert_int_equal(fake_token_calls(world->token, IPC_UNWRAP), before + 2);
    assert_answer_ok(world, world_decrypt_of(world, &foreign));
}

static void test_decrypt_seed_that_fitted_once_is_never_asked_for_again(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    struct answer changed = with_another_commitment(&foreign);
    (void)world_decrypt_of(world, &foreign);
    world_settle(world);
    unsigned before = fake_token_calls(world->token, IPC_UNWRAP);
    for (int i = 0; i < 3; i++) {
        assert_answer_fails(world, world_decrypt_of(world, &changed), E_CRYPTO);
        world_pass(world, 3000);
    }
    /* the canary */
    assert_in_range(fake_token_calls(world->token, IPC_UNWRAP), before, before + 1);
}

/*
 * A seed that was remembered seals after a restart: what is sealed must open from the token alone.
 */
static void test_restart_seed_opened_wrongly_never_seals(void **state)
{
    struct world *world = *state;
    world_serve(world);
    world_pass(world, 2000);
    world_kill(world);
    world_start_alone(world);
    service_token_attach(world->service, fake_token_connect(world->token));
    fake_token_fault(world->token, IPC_UNWRAP, FAKE_CORRUPT);
    world_pass(world, 5000);
    int32_t sealed = world_encrypt(world, CODEC_V2_ENCRYPT, "x");
    assert_answer_ok(world, sealed);
    struct answer before = world->answers[sealed];
    world_kill(world);
    world->state[STATE_SEEDS].has = false;
    world_serve(world);
    int32_t opened = world_decrypt_of(world, &before);
    world_settle(world);
    assert_answer_ok(world, opened);
}

/* In the state file: is the seed of this envelope our own, or made so with `make`? */
static bool is_own_in_file(struct world *world, const struct answer *sealed, bool make)
{
    static struct seed_name names[SEEDS_MAX];
    static uint8_t room[REMEMBER_MAX];
    struct envelope envelope;
    size_t n = 0;
    bool own = false;
    struct writer w = writer_of(span_mut_of(room, sizeof(room)));
    struct span file = span_of(world->state[STATE_SEEDS].bytes, world->state[STATE_SEEDS].len);
    assert_ok(envelope_parse(span_of(sealed->payload, sealed->payload_len), &envelope));
    assert_ok(remember_parse(file, envelope.head.realm, names, SEEDS_MAX, &n));
    remember_begin(&w, envelope.head.realm);
    for (size_t i = 0; i < n; i++) {
        bool its = span_equal(seed_name_wrapped(&names[i]), envelope.wrapped);
        names[i].own |= its && make;
        own |= its && names[i].own;
        remember_put(&w, &names[i]);
    }
    assert_int_equal(w.len, file.len);
    memcpy(world->state[STATE_SEEDS].bytes, room, w.len);
    return own;
}

static void test_own_seed_opened_wrongly_stays_own(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer foreign = world_foreign(world, 0, "x");
    (void)world_decrypt_of(world, &foreign);
    world_pass(world, 2000);
    assert_false(is_own_in_file(world, &foreign, false));
    world_kill(world);
    assert_true(is_own_in_file(world, &foreign, true));
    world_start_alone(world);
    service_token_attach(world->service, fake_token_connect(world->token));
    fake_token_fault(world->token, IPC_UNWRAP, FAKE_DELAY);
    fake_token_fault(world->token, IPC_UNWRAP, FAKE_DELAY);
    fake_token_fault(world->token, IPC_UNWRAP, FAKE_CORRUPT);
    for (int i = 0; i < 5; i++) {
        world_pass(world, 500);
        fake_token_release(world->token);
    }
    int32_t stream = world_decrypt_of(world, &foreign);
    world_pass(world, 2000);
    assert_answer_ok(world, stream);
    assert_int_equal(world_logged("token-opened-wrongly", NULL), 1);
    assert_true(is_own_in_file(world, &foreign, false));
}

static bool state_is(const struct world *world, const char *name)
{
    struct state_health record;
    assert_ok(state_health_parse(
        span_of(world->state[STATE_HEALTH].bytes, world->state[STATE_HEALTH].len), &record));
    return strcmp(record.state, name) == 0;
}

/* What is unknown is not different. */
static void test_restart_key_that_cannot_be_read_is_start_and_decrypt_unavailable(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct answer sealed = world->answers[world_encrypt(world, CODEC_V2_ENCRYPT, "x")];
    world_kill(world);
    world->state[STATE_SEEDS].has = false;
    fake_token_key(world->token, 0)->state = IPC_KEY_UNREADABLE;
    world_start(world);
    for (int i = 0; i < 4; i++) {
        world_pass(world, 5000);
        assert_true(state_is(world, "START"));
        assert_int_equal(world_status_of(world)->code, E_NONE);
        assert_non_null(strstr(world_status_of(world)->healthz, "cannot be read: p11k:test:"));
        int32_t refused = world_decrypt_of(world, &sealed);
        world_pass(world, 3000);
        assert_answer_fails(world, refused, E_UNAVAILABLE);
    }
    fake_token_key(world->token, 0)->state = IPC_KEY_READ;
    world_pass(world, 5000);
    assert_true(state_is(world, "OK"));
    int32_t opened = world_decrypt_of(world, &sealed);
    world_settle(world);
    assert_answer_ok(world, opened);
}

/* A kek_id that no key has is only not found when every key could be read. */
static void test_decrypt_unknown_kek_is_unavailable_while_any_key_is_unread(void **state)
{
    struct world *world = *state;
    size_t other = fake_token_add_key(world->token, "other", 1, 1);
    size_t gone = fake_token_add_key(world->token, "other", 2, 2);
    struct answer foreign = world_foreign(world, gone, "x");
    fake_token_key(world->token, gone)->gone = true;
    fake_token_key(world->token, other)->state = IPC_KEY_UNREADABLE;
    world_serve(world);
    int32_t first = world_decrypt_of(world, &foreign);
    world_pass(world, 2000);
    assert_answer_fails(world, first, E_UNAVAILABLE);
    assert_string_equal(world_status_of(world)->healthz, "ok");
    fake_token_key(world->token, other)->state = IPC_KEY_READ;
    int32_t second = world_decrypt_of(world, &foreign);
    world_pass(world, 2000);
    assert_answer_fails(world, second, E_NOT_FOUND);
}

/*
 * A seed that was open before the restart is not given up because its key cannot be read just now.
 */
static void test_restart_remembered_seed_waits_for_its_unread_key(void **state)
{
    struct world *world = *state;
    size_t other = fake_token_add_key(world->token, "other", 1, 1);
    size_t gone = fake_token_add_key(world->token, "other", 2, 2);
    struct answer unknown = world_foreign(world, gone, "x");
    fake_token_key(world->token, gone)->gone = true;
    world_serve(world);
    struct answer foreign = world_foreign(world, other, "x");
    (void)world_decrypt_of(world, &foreign);
    world_pass(world, 3000);
    world_kill(world);
    fake_token_key(world->token, other)->state = IPC_KEY_UNREADABLE;
    world_serve(world);
    fake_token_key(world->token, other)->state = IPC_KEY_READ;
    (void)world_decrypt_of(world, &unknown); /* makes it list all keys */
    world_pass(world, 5000);
    world_token_away(world);
    assert_answer_ok(world, world_decrypt_of(world, &foreign));
}

static void test_key_without_a_readable_name_makes_no_key_missing(void **state)
{
    struct world *world = *state;
    world_serve(world);
    struct fake_key before = *fake_token_key(world->token, 0);
    fake_token_key(world->token, 0)->state = IPC_KEY_UNREADABLE;
    fake_token_key(world->token, 0)->label[0] = '\0';
    world_pass(world, 60000);
    assert_true(state_is(world, "OK"));
    *fake_token_key(world->token, 0) = before;
    world_pass(world, 30000);
    assert_true(state_is(world, "OK"));
}

/* The canary fails, but not for a reason that says anything of the KEK. */
static void test_proofs_that_fail_by_an_outage_are_an_outage(void **state)
{
    struct world *world = *state;
    world_serve(world);
    const enum ipc_outcome outcomes[] = {IPC_UNAVAILABLE, IPC_BUSY, IPC_REFUSED, IPC_EXPIRED};
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        fake_token_refuse_all(world->token, IPC_UNWRAP, outcomes[i], 5);
        world_pass(world, 90000);
        assert_true(state_is(world, "COAST"));
        fake_token_refuse_all(world->token, IPC_UNWRAP, IPC_OK, 0);
        world_pass(world, 5000);
        assert_true(state_is(world, "OK"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_decrypt_seed_opened_wrongly_is_asked_for_once_more),
        IN_WORLD(test_decrypt_seed_opened_wrongly_twice_is_refused_and_right_later),
        IN_WORLD(test_decrypt_512_with_another_commitment_ask_the_token_twice),
        IN_WORLD(test_decrypt_seed_that_fitted_once_is_never_asked_for_again),
        IN_WORLD(test_restart_seed_opened_wrongly_never_seals),
        IN_WORLD(test_own_seed_opened_wrongly_stays_own),
        IN_WORLD(test_restart_key_that_cannot_be_read_is_start_and_decrypt_unavailable),
        IN_WORLD(test_decrypt_unknown_kek_is_unavailable_while_any_key_is_unread),
        IN_WORLD(test_restart_remembered_seed_waits_for_its_unread_key),
        IN_WORLD(test_key_without_a_readable_name_makes_no_key_missing),
        IN_WORLD(test_proofs_that_fail_by_an_outage_are_an_outage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
