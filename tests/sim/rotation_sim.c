/*
 * Thousands of hours of small clusters through the real ring and rotation code. `rotation_sim [RUNS
 * [SEED]]`; a broken promise names its seed, and `rotation_sim 1 SEED` repeats it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/cluster.h"

#define RUNS     1000
#define SETTLE_S 60

static void breaks(struct cluster *cluster, const char *promise)
{
    cluster->broken = cluster->broken == NULL ? promise : cluster->broken;
}

static const struct token_key *on_token(const struct cluster *cluster, const struct ring_key *key)
{
    for (int i = 0; i < cluster->keys_n; i++) {
        if (ring_same(&cluster->keys[i].key, key)) {
            return &cluster->keys[i];
        }
    }
    return NULL;
}

/*
 * What a node reports never moves back in the order, so that no key_id that was left comes again.
 */
static void check_order(struct cluster *cluster, struct node *node)
{
    const struct ring_key *reported = cluster_reported(node);
    if (reported == NULL) {
        return;
    }
    cluster->counts.order_checks++;
    if (node->has_mark && ring_compare(reported, &node->mark) < 0) {
        breaks(cluster, "a node reports an older key than before");
    }
    node->has_mark = true;
    node->mark = *reported;
}

/* What seals is on the token for ever, verified, with its dates in order. */
static void check_served(struct cluster *cluster, const struct node *node)
{
    if (!node->rotation.view.has_serving) {
        return;
    }
    const struct token_key *served = on_token(cluster, &node->rotation.view.serving);
    if (served == NULL) {
        breaks(cluster, "a key serves that is not on the token");
    } else if (!served->may_serve) {
        breaks(cluster, "a key serves that must not");
    } else if (!node->proven[served - cluster->keys]) {
        breaks(cluster, "a key serves whose first seed was not proven in this process");
    } else if (served->key.created > served->key.not_before) {
        breaks(cluster, "a key serves that was created after its not-before");
    }
}

/* Clock right, nothing disturbed and every key in sight, all of that for a minute. */
static bool is_settled(const struct cluster *cluster, const struct node *node)
{
    if (node->wild || cluster->now_s - node->settled_s < SETTLE_S) {
        return false;
    }
    for (int i = 0; i < cluster->keys_n; i++) {
        if (cluster->keys[i].visible_s + node->lag_s + SETTLE_S > cluster->now_s) {
            return false;
        }
    }
    return true;
}

/* The first clock passes a not-before CLUSTER_SKEW_S early; from then on the others have 60 s. */
static bool activation_under_way(const struct cluster *cluster)
{
    for (int i = 0; i < cluster->keys_n; i++) {
        int64_t not_before = cluster->keys[i].key.not_before;
        int64_t first_s = not_before - CLUSTER_SKEW_S;
        if (cluster->keys[i].may_serve && cluster->now_s >= first_s &&
            cluster->now_s < first_s + SETTLE_S) {
            return true;
        }
    }
    return false;
}

static void check_agreement(struct cluster *cluster)
{
    const struct ring_key *first = NULL;
    if (activation_under_way(cluster)) {
        return;
    }
    for (int i = 0; i < cluster->nodes_n; i++) {
        const struct node *node = &cluster->nodes[i];
        if (!is_settled(cluster, node)) {
            continue;
        }
        if (!node->rotation.view.has_serving) {
            breaks(cluster, "a settled node does not serve");
            return;
        }
        const struct ring_key *serving = &node->rotation.view.serving;
        if (first != NULL && !ring_same(first, serving)) {
            breaks(cluster, "settled nodes serve different keys");
        }
        cluster->counts.agreements += first != NULL;
        first = first == NULL ? serving : first;
    }
}

/* What was staged before an emergency never takes over from the KEK that was made at once. */
static void check_emergencies(struct cluster *cluster, const struct node *node)
{
    if (!is_settled(cluster, node) || !node->rotation.view.has_serving) {
        return;
    }
    const struct token_key *served = on_token(cluster, &node->rotation.view.serving);
    for (int i = 0; served != NULL && i < cluster->keys_n; i++) {
        const struct token_key *made = &cluster->keys[i];
        bool active = made->may_serve &&
                      made->key.not_before + CLUSTER_SKEW_S + SETTLE_S <= cluster->now_s;
        if (active && (made->outranks >> (served - cluster->keys) & 1) != 0) {
            breaks(cluster, "a key that was staged before an emergency serves after it");
        }
        cluster->counts.emergencies += active && made->outranks != 0;
    }
}

static void run(struct cluster *cluster, uint64_t seed)
{
    cluster_init(cluster, seed);
    while (cluster->now_s < CLUSTER_EPOCH_S + CLUSTER_RUN_S && cluster->broken == NULL) {
        cluster_step(cluster);
        for (int i = 0; i < cluster->nodes_n; i++) {
            check_order(cluster, &cluster->nodes[i]);
            check_served(cluster, &cluster->nodes[i]);
            check_emergencies(cluster, &cluster->nodes[i]);
        }
        check_agreement(cluster);
    }
}

static void add(struct cluster_counts *sum, const struct cluster_counts *counts)
{
    sum->switches += counts->switches;
    sum->restarts += counts->restarts;
    sum->lost_states += counts->lost_states;
    sum->outages += counts->outages;
    sum->hidden += counts->hidden;
    sum->unreadable += counts->unreadable;
    sum->created += counts->created;
    sum->refused += counts->refused;
    sum->agreements += counts->agreements;
    sum->order_checks += counts->order_checks;
    sum->emergencies += counts->emergencies;
}

int main(int argc, char **argv)
{
    static struct cluster cluster;
    struct cluster_counts sum = {0};
    unsigned long runs = argc > 1 ? strtoul(argv[1], NULL, 10) : RUNS;
    unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    unsigned long broken = 0;
    for (unsigned long i = 0; i < runs; i++) {
        run(&cluster, seed + i);
        add(&sum, &cluster.counts);
        if (cluster.broken != NULL) {
            (void)printf("seed %lu, second %lld: %s\n", seed + i,
                         (long long)(cluster.now_s - CLUSTER_EPOCH_S), cluster.broken);
            broken++;
        }
    }
    (void)printf(
        "rotation: %lu runs, %lu broken; keys %lu (refused %lu), switches %lu, restarts %lu "
        "(state lost %lu), outages %lu, keys hidden %lu, unreadable %lu; order checked %lu times, "
        "agreement %lu times, emergencies %lu times\n",
        runs, broken, sum.created, sum.refused, sum.switches, sum.restarts, sum.lost_states,
        sum.outages, sum.hidden, sum.unreadable, sum.order_checks, sum.agreements, sum.emergencies);
    bool idle =
        sum.switches == 0 || sum.agreements == 0 || sum.order_checks == 0 || sum.emergencies == 0;
    return broken > 0 || (runs >= RUNS && idle) ? 1 : 0;
}
