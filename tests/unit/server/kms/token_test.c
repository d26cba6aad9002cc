/* Two tokens, of which one may be away: what the ring is then, and who is asked. */
#include "server/kms/token.h"

#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "keys/key_id.h"
#include "tests/kit/heard_log.h"
#include "tests/kit/unit.h"

/* What each client was asked last. */
static struct client_request asked[2];
static unsigned asked_n[2];
static enum ipc_phase phase[2];

static struct config config = {.ring = "prod", .tokens_n = 2};
static struct tokens tokens;
static unsigned listed_n;
static unsigned opened_n;
static err_t listed_err;

static size_t number_of(const struct client *client)
{
    return tokens.n == 2 && client == tokens.at[1]->client ? 1 : 0;
}

err_t __wrap_client_call(struct client *client, const struct client_request *request,
                         int64_t now_ms);
const struct ipc_status *__wrap_client_status(const struct client *client);

err_t __wrap_client_call(struct client *client, const struct client_request *request,
                         int64_t now_ms)
{
    (void)now_ms;
    asked[number_of(client)] = *request;
    asked_n[number_of(client)]++;
    return OK;
}

const struct ipc_status *__wrap_client_status(const struct client *client)
{
    static struct ipc_status status;
    status.phase = phase[number_of(client)];
    return &status;
}

static void on_listed(void *ctx, err_t err, bool all)
{
    assert_ptr_equal(ctx, &tokens);
    (void)all;
    listed_n++;
    listed_err = err;
}

static void on_unwrapped(void *ctx, const struct unwrap *unwrap, const struct client_reply *reply)
{
    assert_ptr_equal(ctx, &tokens);
    (void)unwrap;
    (void)reply;
    opened_n++;
}

static void on_hung(void *ctx)
{
    (void)ctx;
}

static int setup(void **state)
{
    (void)state;
    static const struct token_events events = {&tokens, on_listed, on_unwrapped, on_hung};
    memset(asked_n, 0, sizeof(asked_n));
    listed_n = opened_n = 0;
    heard_log_clear();
    phase[0] = phase[1] = IPC_PHASE_READY;
    config.tokens[0].sessions = config.tokens[1].sessions = 1;
    assert_ok(secret_init(&secret_budget_front));
    assert_ok(tokens_init(&tokens, &config, &events));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tokens_done(&tokens);
    assert_int_equal(secret_in_use(SECRET_2KIB), 0);
    secret_done();
    return 0;
}

static struct ipc_key key_of(uint8_t n)
{
    struct ipc_key key = {
        .ref = {.id = {n},
                .id_len = 16,
                .fingerprint = {n},
                .fingerprint_len = 16,
                .scheme = ENVELOPE_AES_GCM},
        .state = IPC_KEY_READ,
        .activation = {.by = IPC_BY_LABEL, .ring = "prod", .not_before = 10u + n, .created = 8},
    };
    (void)snprintf(key.label, sizeof(key.label), "p11k:prod:%08x:00000008", 10u + n);
    return key;
}

static void kek_id_of(uint8_t n, uint8_t *ret_kek_id)
{
    const struct ipc_key key = key_of(n);
    assert_ok(key_id_kek(key.ref.scheme, span_of(key.ref.id, key.ref.id_len),
                         span_of(key.ref.fingerprint, key.ref.fingerprint_len), ret_kek_id));
}

static const struct times now = {.real_s = 5000, .boot_ms = 5000, .mono_ms = 5000};

/* A whole listing of this token: keys numbered from first to last; none when first is 0. */
static void list(size_t token, uint8_t first, uint8_t last)
{
    struct ipc_key keys[8];
    size_t n = 0;
    for (uint8_t i = first; first != 0 && i <= last; i++) {
        keys[n++] = key_of(i);
    }
    const struct client_reply reply = {.verb = IPC_LIST, .keys = keys, .keys_n = n};
    assert_ok(token_list(tokens.at[token], NULL, now));
    asked[token].done(asked[token].ctx, &reply);
    assert_ok(listed_err);
}

static size_t ring(bool *ret_whole)
{
    static struct ring_key keys[ROTATION_KEYS_MAX];
    return tokens_ring(&tokens, keys, ret_whole);
}

static void test_ring_of_a_token_that_was_never_listed_is_not_whole(void **state)
{
    (void)state;
    bool whole = true;
    assert_int_equal(ring(&whole), 0);
    assert_false(whole);
    list(0, 1, 2);
    assert_int_equal(ring(&whole), 2);
    assert_false(whole);
    list(1, 0, 0); /* nothing lies there: that is known now */
    assert_int_equal(ring(&whole), 2);
    assert_true(whole);
}

static void test_ring_keeps_what_an_absent_token_listed_last(void **state)
{
    (void)state;
    bool whole = false;
    list(0, 1, 2);
    list(1, 3, 5);
    assert_int_equal(ring(&whole), 5);
    phase[1] = IPC_PHASE_STARTING;
    assert_ok(token_list(tokens.at[1], NULL, now));
    const struct client_reply away = {.err = FAIL(E_UNAVAILABLE, "away")};
    asked[1].done(asked[1].ctx, &away);
    assert_fails(listed_err, E_UNAVAILABLE);
    listed_err = OK;
    list(0, 1, 1);
    assert_int_equal(ring(&whole), 4);
    assert_true(whole);
    list(1, 3, 3);
    assert_int_equal(ring(&whole), 2);
}

static void test_ring_names_a_key_on_two_tokens_once(void **state)
{
    (void)state;
    bool whole = false;
    list(0, 1, 3);
    list(1, 2, 4);
    assert_int_equal(ring(&whole), 4);
}

static void test_find_tells_which_token_holds_the_key(void **state)
{
    (void)state;
    uint8_t kek_id[KEK_ID_LEN];
    list(0, 1, 2);
    list(1, 2, 3);
    kek_id_of(2, kek_id);
    assert_ptr_equal(tokens_find(&tokens, kek_id).token, tokens.at[0]);
    kek_id_of(3, kek_id);
    const struct token_place place = tokens_find(&tokens, kek_id);
    assert_ptr_equal(place.token, tokens.at[1]);
    assert_int_equal(place.ref->id[0], 3);
    kek_id_of(4, kek_id);
    assert_null(tokens_find(&tokens, kek_id).token);
}

static void test_all_is_listed_when_every_token_was_listed_after_the_wish(void **state)
{
    (void)state;
    uint64_t first = tokens_want_all(&tokens);
    list(0, 1, 1);
    assert_true(tokens_all_listed(&tokens) < first);
    list(1, 2, 2);
    assert_true(tokens_all_listed(&tokens) >= first);
    uint64_t second = tokens_want_all(&tokens);
    assert_true(tokens_all_listed(&tokens) < second);
}

static void test_list_ms_of_a_token_that_is_away_is_never(void **state)
{
    (void)state;
    phase[1] = IPC_PHASE_PIN;
    assert_int_equal(token_list_ms(tokens.at[0], 9000), 9000);
    assert_int_equal(token_list_ms(tokens.at[1], 9000), INT64_MAX);
    phase[1] = IPC_PHASE_READY;
    assert_int_equal(token_list_ms(tokens.at[1], 9000), 9000);
    assert_ok(token_list(tokens.at[1], NULL, now));
    assert_int_equal(token_list_ms(tokens.at[1], 9000), INT64_MAX); /* one runs */
    assert_int_equal(token_list_ms(tokens.at[0], 9000), 9000);
}

static void test_list_names_the_serving_key_as_the_token_knows_it(void **state)
{
    (void)state;
    struct ring_key serving = {.not_before = 11, .created = 8};
    kek_id_of(1, serving.kek_id);
    list(0, 1, 1);
    assert_ok(token_list(tokens.at[0], &serving, now));
    assert_int_equal(asked[0].list.has_serving, 1);
    assert_int_equal(asked[0].list.serving.id[0], 1);
    assert_ok(token_list(tokens.at[1], &serving, now));
    assert_int_equal(asked[1].list.has_serving, 0);
}

static void test_seed_that_a_token_opened_is_told(void **state)
{
    (void)state;
    const struct seed_name name = {.key = {9}, .wrapped_len = 61};
    const struct ipc_key_ref ref = {.id_len = 16};
    struct unwraps *unwraps = &tokens.at[1]->unwraps;
    assert_ok(unwraps_start(unwraps, &name, &ref, CLIENT_BACKGROUND, 5));
    assert_int_equal(tokens_background(&tokens), 1);
    tokens_mark_again(&tokens, name.key);
    assert_true(unwraps->slots[0].again);
    const struct client_reply reply = {.verb = IPC_UNWRAP};
    asked[1].done(asked[1].ctx, &reply);
    assert_int_equal(opened_n, 1);
    assert_int_equal(tokens_background(&tokens), 0);
}

static void test_unread_key_of_any_token_counts(void **state)
{
    (void)state;
    struct ipc_key key = key_of(1);
    key.state = IPC_KEY_UNREADABLE;
    const struct client_reply reply = {.verb = IPC_LIST, .keys = &key, .keys_n = 1};
    assert_false(tokens_unread(&tokens));
    (void)tokens_want_all(&tokens);
    assert_ok(token_list(tokens.at[1], NULL, now));
    asked[1].done(asked[1].ctx, &reply);
    assert_true(tokens_unread(&tokens));
}

#define TOKEN_TEST(test_) cmocka_unit_test_setup_teardown(test_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TOKEN_TEST(test_ring_of_a_token_that_was_never_listed_is_not_whole),
        TOKEN_TEST(test_ring_keeps_what_an_absent_token_listed_last),
        TOKEN_TEST(test_ring_names_a_key_on_two_tokens_once),
        TOKEN_TEST(test_find_tells_which_token_holds_the_key),
        TOKEN_TEST(test_all_is_listed_when_every_token_was_listed_after_the_wish),
        TOKEN_TEST(test_list_ms_of_a_token_that_is_away_is_never),
        TOKEN_TEST(test_list_names_the_serving_key_as_the_token_knows_it),
        TOKEN_TEST(test_seed_that_a_token_opened_is_told),
        TOKEN_TEST(test_unread_key_of_any_token_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
