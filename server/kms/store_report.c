#include <stdio.h>

#include "server/kms/store.h"

static int64_t proof_age_ms(const struct store *store, struct times now)
{
    const struct rotation_view *view = &store->rotation.view;
    const struct proof *proof =
        view->has_serving ? prover_find(&store->prover, &view->serving) : NULL;
    return proof_stands(proof) ? now.boot_ms - proof->proven_ms : -1;
}

struct health_facts store_health(const struct store *store, struct times now)
{
    return report_health(&store->report, &store->rotation.view, proof_age_ms(store, now),
                         now.real_s);
}

enum health_state store_state(const struct store *store, struct times now)
{
    const struct health_policy policy = report_policy(&store->config);
    const struct health_facts facts = store_health(store, now);
    return health_evaluate(&policy, &facts);
}

static struct mend_facts mend_facts(const struct store *store, struct times now)
{
    const struct token *token = store->tokens.at[0];
    return (struct mend_facts){
        .config = &store->config,
        .token = client_status(token->client),
        .view = &store->rotation.view,
        .state = store_state(store, now),
        .unread = token->unread.text,
        .refused = token->refused.text,
        .storing = store->kept.trouble,
    };
}

void store_mend(const struct store *store, struct times now, char *ret_text, size_t size)
{
    const struct mend_facts facts = mend_facts(store, now);
    mend_text(&facts, ret_text, size);
}

void store_key_id(const struct store *store, char ret_text[KEY_ID_TEXT_LEN + 1])
{
    const struct rotation_view *view = &store->rotation.view;
    ret_text[0] = '\0';
    if (store->snapshot.ready) {
        (void)snprintf(ret_text, KEY_ID_TEXT_LEN + 1, "%s", store->snapshot.key_id);
    } else if (view->has_remembered) {
        key_id_text(view->remembered.kek_id, view->remembered.not_before, ret_text);
    }
}

static bool seed_outlived(const struct store *store, struct times now)
{
    const struct proof *proof =
        store->snapshot.ready ? prover_find(&store->prover, &store->snapshot.key) : NULL;
    return proof != NULL && proof->write != NULL &&
           prover_seed_age_s(proof, now.boot_ms) >= (int64_t)store->config.seed_life_s;
}

static struct mend_ailments ailments(const struct store *store, struct times now)
{
    const struct rotation *rotation = &store->rotation;
    return (struct mend_ailments){
        .seed_outlived = seed_outlived(store, now),
        .listing_outlived =
            rotation->listed && now.boot_ms - rotation->listed_ms >= MEND_LISTING_MS,
        .limit = limits_text(&store->limits),
    };
}

void store_report(struct store *store, struct times now)
{
    char key_id[KEY_ID_TEXT_LEN + 1];
    store_key_id(store, key_id);
    const struct report_facts facts = {
        .mend = mend_facts(store, now),
        .ailments = ailments(store, now),
        .proof_age_ms = proof_age_ms(store, now),
        .key_id = key_id,
    };
    report_tick(&store->report, &facts, now);
}
