/*
 * cluster: a few nodes around one replicated token, in simulated seconds, all chance from one seed.
 * The nodes run the real rotation and ring code; only token, clocks, restarts and creators are
 * modelled here.
 */
#ifndef TESTS_SIM_CLUSTER_H
#define TESTS_SIM_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/rotation/rotation.h"

#define CLUSTER_NODES_MAX 5
#define CLUSTER_KEYS_MAX  32
#define CLUSTER_EPOCH_S   1700000000
#define CLUSTER_SKEW_S    15  /* clocks of usual nodes agree within 30 s */
#define CLUSTER_LAG_MAX_S 600 /* of replication */
#define CLUSTER_RUN_S     5400

struct token_key {
    struct ring_key key;
    int64_t visible_s; /* on the primary; replicas see it their lag later */
    bool may_serve;    /* verified, dates in order and within the horizon */
    uint32_t outranks; /* made at once: a bit a key that its maker saw then, staged or not */
};

struct node {
    struct rotation rotation;
    int64_t boot_s; /* true time at which its boot clock was 0 */
    int64_t skew_s;
    int64_t lag_s;
    bool wild; /* its clock is or was far off: nothing is promised but the order */
    int64_t outage_until_s;
    int hidden_key; /* left out of its listings; -1 none */
    int64_t hidden_until_s;
    int unreadable_key; /* its attributes or fingerprint end in an error; -1 none */
    int64_t unreadable_until_s;
    int64_t settled_s; /* since when nothing disturbed it */
    bool proven[CLUSTER_KEYS_MAX]; /* in this process */
    bool disk_has_key; /* the state folder */
    struct ring_key disk_key;
    bool has_mark; /* the best key ever reported, for the invariant */
    struct ring_key mark;
};

struct cluster_counts {
    unsigned long switches, restarts, lost_states, outages, hidden, unreadable, created, refused,
        agreements;
    unsigned long order_checks, emergencies;
};

struct cluster {
    uint64_t chance;
    int64_t now_s; /* true time */
    struct token_key keys[CLUSTER_KEYS_MAX];
    int keys_n;
    struct node nodes[CLUSTER_NODES_MAX];
    int nodes_n;
    struct cluster_counts counts;
    const char *broken; /* the invariant that failed; NULL none */
};

void cluster_init(struct cluster *cluster, uint64_t seed);
/* One second: events, listings, proofs, ticks. */
void cluster_step(struct cluster *cluster);
/* What this node tells Kubernetes: the serving key, or the remembered one; NULL none. */
const struct ring_key *cluster_reported(const struct node *node);
int64_t cluster_clock_s(const struct cluster *cluster, const struct node *node);
/* True when this key has reached the node. */
bool cluster_sees(const struct cluster *cluster, const struct node *node, int key);

#endif
