#include "server/kms/suite.h"

#include "server/kms/store.h"

static const struct suite *const suites[] = {&suite_seed};

#define SUITES (sizeof(suites) / sizeof(suites[0]))

err_t suite_find(const struct config *config, uint8_t number, const struct suite **ret_suite)
{
    for (size_t i = 0; i < SUITES; i++) {
        if (suites[i]->number == number && suites[i]->is_accepted(config)) {
            *ret_suite = suites[i];
            return OK;
        }
    }
    return FAIL(E_INVALID, "the ciphertext is of a suite that is not configured");
}

err_t suite_seal(struct store *store, struct call *call, struct suite_result *result)
{
    call->wait = (struct call_wait){0};
    enum health_encrypt answer = health_encrypt_answer(store_state(store, store_now(store)));
    if (answer == HEALTH_ENCRYPT_REFUSED) {
        return FAIL(E_STATE, "the KEK is lost or unproven for too long");
    }
    if (answer == HEALTH_ENCRYPT_WAITS || !store->snapshot.ready) {
        call->wait.what = CALL_FOR_PROOF;
        return OK;
    }
    for (size_t i = 0; i < SUITES; i++) {
        if (suites[i]->mode == store->config.mode) {
            return suites[i]->seal(store, call, result);
        }
    }
    return FAIL(E_BUG, "no suite seals in this mode");
}

err_t suite_open(struct store *store, struct call *call, struct suite_result *result)
{
    call->wait = (struct call_wait){0};
    const struct suite *suite = NULL;
    TRY(suite_find(&store->config, call->envelope.head.suite, &suite));
    return suite->open(store, call, result);
}

void suite_abandon(struct store *store, const struct call_wait *wait)
{
    for (size_t i = 0; i < SUITES; i++) {
        suites[i]->abandon(store, wait);
    }
}

err_t suite_had_room(struct store *store, err_t err)
{
    if (err.code == E_LIMIT) {
        limits_bite(&store->limits, LIMIT_WAITING, clock_mono_ms());
    }
    return err;
}

err_t suite_room(struct store *store, size_t cap, struct secret **ret_room)
{
    return suite_had_room(store, secret_new(SECRET_2KIB, cap, ret_room));
}

err_t suite_find_kek(struct store *store, struct call *call, struct token_place *ret_place)
{
    const uint8_t *kek_id = call->envelope.head.kek_id;
    *ret_place = tokens_find(&store->tokens, kek_id);
    if (ret_place->token != NULL) {
        return OK;
    }
    if (call->listing != 0 && call->listing <= tokens_all_listed(&store->tokens)) {
        return tokens_unread(&store->tokens)
                   ? FAIL(E_UNAVAILABLE, "a key of the token cannot be read: it may be the one")
                   : FAIL(E_NOT_FOUND, "no key of the token has this kek_id");
    }
    call->listing = call->listing != 0 ? call->listing : tokens_want_all(&store->tokens);
    call->wait.what = CALL_FOR_LISTING;
    return OK;
}
