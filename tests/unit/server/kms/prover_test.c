/*
 * The seed of a key is made of both random sources and compared with what opens again, here with a
 * token of no mind.
 */
#include <string.h>

#include "server/kms/prover.h"
#include "tests/kit/unit.h"

#define OURS   0x0f /* each byte of our random source */
#define THEIRS 0x35 /* each byte of the token's */

static struct client_request asked; /* the last; its bytes are in asked_bytes */
static uint8_t asked_bytes[64];
static unsigned asked_n;
static const struct client *asked_client;
static const struct client *cancelled_client; /* NULL: none was */

err_t __wrap_client_call(struct client *client, const struct client_request *request,
                         int64_t now_ms);
void __wrap_client_cancel(struct client *client, const void *ctx);
err_t __wrap_seal_random(struct seal *seal, struct span_mut out);

err_t __wrap_client_call(struct client *client, const struct client_request *request,
                         int64_t now_ms)
{
    (void)now_ms;
    asked_client = client;
    asked = *request;
    asked_n++;
    assert_true(span_copy(span_mut_of(asked_bytes, sizeof(asked_bytes)), request->data));
    return OK;
}

void __wrap_client_cancel(struct client *client, const void *ctx)
{
    (void)ctx;
    cancelled_client = client;
}

err_t __wrap_seal_random(struct seal *seal, struct span_mut out)
{
    (void)seal;
    memset(out.ptr, OURS, out.len);
    return OK;
}

static const struct ring_key kek = {
    .kek_id = {7}, .not_before = 1000, .created = 1000, .verdict = RING_GOOD};
static const struct times now = {.real_s = 2000, .boot_ms = 5000, .mono_ms = 5000};
/* Only told apart: every call to a client is wrapped. */
static char clients[2];
static struct token hsm = {.client = (struct client *)&clients[0]};
static struct token second = {.client = (struct client *)&clients[1]};
static struct tokens tokens;
static struct pending pending;
static struct prover prover;
static struct prover_news heard;

static void on_reply(void *ctx, struct proof *proof, const struct client_reply *reply)
{
    (void)ctx;
    heard = prover_reply(proof, reply, now);
}

static int setup(void **state)
{
    (void)state;
    asked_n = 0;
    tokens = (struct tokens){.at = {&hsm}, .n = 1};
    cancelled_client = NULL;
    hsm.directory.n = 1;
    memcpy(hsm.directory.entries[0].kek_id, kek.kek_id, KEK_ID_LEN);
    assert_ok(secret_init(&secret_budget_front));
    prover = (struct prover){
        .events = {NULL, on_reply}, .tokens = &tokens, .pending = &pending, .life_s = 86400};
    assert_ok(seal_new(&prover.seal));
    assert_ok(seeds_new(8, &prover.seeds));
    prover_want(&prover, &kek, now.boot_ms);
    prover_tick(&prover, now);
    assert_int_equal(asked.verb, IPC_RANDOM);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    prover_done(&prover);
    seeds_free(prover.seeds);
    seal_free(prover.seal);
    assert_int_equal(secret_in_use(SECRET_SEED) + secret_in_use(SECRET_2KIB), 0);
    assert_true(secret_free_space_is_zero());
    secret_done();
    return 0;
}

static struct prover_news answer(const void *bytes, size_t len)
{
    const struct client_reply reply = {.data = span_of(bytes, len)};
    asked.done(asked.ctx, &reply);
    return heard;
}

static void answer_random(uint8_t *ret_seed)
{
    uint8_t random[SEED_LEN];
    memset(random, THEIRS, sizeof(random));
    assert_int_equal(answer(random, sizeof(random)).outcome, PROVER_NOTHING);
    assert_int_equal(asked.verb, IPC_WRAP);
    assert_int_equal(asked.data.len, SEED_LEN);
    memcpy(ret_seed, asked_bytes, SEED_LEN);
}

/* Random bytes, wrapped: the token is asked to open it again. */
static void answer_wrapped(uint8_t *ret_seed)
{
    static const uint8_t wrapped[61] = {12};
    answer_random(ret_seed);
    assert_int_equal(answer(wrapped, sizeof(wrapped)).outcome, PROVER_NOTHING);
    assert_int_equal(asked.verb, IPC_UNWRAP);
}

static void test_seed_made_is_the_tokens_random_bytes_and_ours_over_them(void **state)
{
    (void)state;
    uint8_t seed[SEED_LEN];
    uint8_t both[SEED_LEN];
    memset(both, OURS ^ THEIRS, sizeof(both));
    answer_random(seed);
    assert_memory_equal(seed, both, SEED_LEN);
}

static void test_seed_made_of_a_wrong_number_of_random_bytes_is_refused(void **state)
{
    (void)state;
    uint8_t random[SEED_LEN + 1] = {1};
    assert_int_equal(answer(random, SEED_LEN - 1).outcome, PROVER_FAILED);
    assert_int_equal(asked_n, 1);
    assert_null(prover_find(&prover, &kek)->write);
}

static void test_first_proof_that_opens_to_the_seed_proves(void **state)
{
    (void)state;
    uint8_t seed[SEED_LEN];
    answer_wrapped(seed);
    struct prover_news news = answer(seed, SEED_LEN);
    assert_int_equal(news.outcome, PROVER_PROVEN);
    assert_true(news.made);
    assert_non_null(prover_find(&prover, &kek)->write);
}

static void test_first_proof_that_opens_to_something_else_is_wrong_and_nothing_seals(void **state)
{
    (void)state;
    uint8_t seed[SEED_LEN];
    answer_wrapped(seed);
    seed[SEED_LEN - 1] ^= 1;
    assert_int_equal(answer(seed, SEED_LEN).outcome, PROVER_WRONG);
    assert_null(prover_find(&prover, &kek)->write);
    assert_int_equal(seeds_count(prover.seeds), 0);
}

static void test_canary_that_opens_to_something_else_is_wrong(void **state)
{
    (void)state;
    uint8_t seed[SEED_LEN];
    answer_wrapped(seed);
    assert_int_equal(answer(seed, SEED_LEN).outcome, PROVER_PROVEN);
    struct times later = now;
    later.boot_ms += PROVER_CANARY_MS;
    prover_tick(&prover, later);
    assert_int_equal(asked.verb, IPC_UNWRAP);
    seed[0] ^= 0x80;
    assert_int_equal(answer(seed, SEED_LEN).outcome, PROVER_WRONG);
    assert_int_equal(prover_next_ms(&prover), now.boot_ms + PROVER_RETRY_MS);
}

static enum prover_outcome outcome_of(err_t err)
{
    prover_tick(&prover, (struct times){.boot_ms = prover_next_ms(&prover)});
    assert_int_equal(asked.verb, IPC_UNWRAP);
    const struct client_reply reply = {.err = err};
    asked.done(asked.ctx, &reply);
    return heard.outcome;
}

static void test_canary_that_fails_is_blamed_on_what_failed(void **state)
{
    (void)state;
    uint8_t seed[SEED_LEN];
    answer_wrapped(seed);
    assert_int_equal(answer(seed, SEED_LEN).outcome, PROVER_PROVEN);
    assert_int_equal(outcome_of(FAIL(E_NOT_FOUND, "no such key")), PROVER_MISSING);
    assert_int_equal(outcome_of(FAIL(E_INVALID, "never opens")), PROVER_WRONG);
    assert_int_equal(outcome_of(FAIL(E_UNAVAILABLE, "away")), PROVER_FAILED);
    assert_int_equal(outcome_of(FAIL(E_DEADLINE, "slow")), PROVER_FAILED);
    assert_int_equal(outcome_of(FAIL(E_TOKEN, "an error")), PROVER_FAILED);
}

static void test_place_for_more_keys_than_there_are_is_not_that_of_the_serving(void **state)
{
    (void)state;
    uint8_t seed[SEED_LEN];
    answer_wrapped(seed);
    assert_int_equal(answer(seed, SEED_LEN).outcome, PROVER_PROVEN);
    prover_serve(&prover, &kek);
    for (uint32_t i = 1; i <= 2 * PROVER_KEYS; i++) {
        struct ring_key newer = kek;
        newer.created += i;
        newer.not_before += i;
        prover_want(&prover, &newer, now.boot_ms);
        assert_non_null(prover_find(&prover, &newer));
        assert_non_null(prover_find(&prover, &kek));
    }
}

/* A KEK that lies on the second token is proven there, from the first random byte on. */
static void test_key_of_another_token_is_proven_there(void **state)
{
    (void)state;
    struct ring_key newer = kek;
    newer.kek_id[0] = 8;
    newer.created++;
    assert_ptr_equal(asked_client, hsm.client);
    tokens = (struct tokens){.at = {&hsm, &second}, .n = 2};
    second.directory.n = 1;
    memcpy(second.directory.entries[0].kek_id, newer.kek_id, KEK_ID_LEN);
    prover_want(&prover, &newer, now.boot_ms);
    prover_tick(&prover, now);
    assert_int_equal(asked.verb, IPC_RANDOM);
    assert_ptr_equal(asked_client, second.client);
    uint8_t seed[SEED_LEN];
    answer_wrapped(seed);
    assert_ptr_equal(asked_client, second.client);
    assert_int_equal(answer(seed, SEED_LEN).outcome, PROVER_PROVEN);
    assert_non_null(prover_find(&prover, &newer)->write);
}

static void test_key_no_longer_listed_takes_its_call_back(void **state)
{
    (void)state;
    assert_null(cancelled_client);
    prover_keep_listed(&prover, &kek, 1);
    assert_null(cancelled_client);
    prover_keep_listed(&prover, NULL, 0);
    assert_ptr_equal(cancelled_client, hsm.client);
    assert_null(prover_find(&prover, &kek));
}

#define PROVER_TEST(test_) cmocka_unit_test_setup_teardown(test_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROVER_TEST(test_seed_made_is_the_tokens_random_bytes_and_ours_over_them),
        PROVER_TEST(test_seed_made_of_a_wrong_number_of_random_bytes_is_refused),
        PROVER_TEST(test_first_proof_that_opens_to_the_seed_proves),
        PROVER_TEST(test_first_proof_that_opens_to_something_else_is_wrong_and_nothing_seals),
        PROVER_TEST(test_canary_that_opens_to_something_else_is_wrong),
        PROVER_TEST(test_canary_that_fails_is_blamed_on_what_failed),
        PROVER_TEST(test_place_for_more_keys_than_there_are_is_not_that_of_the_serving),
        PROVER_TEST(test_key_of_another_token_is_proven_there),
        PROVER_TEST(test_key_no_longer_listed_takes_its_call_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
