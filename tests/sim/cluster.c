#include "tests/sim/cluster.h"

#include <string.h>

/* splitmix64 */
static uint64_t chance(struct cluster *cluster)
{
    uint64_t z = (cluster->chance += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int64_t between(struct cluster *cluster, int64_t low, int64_t high)
{
    return low + (int64_t)(chance(cluster) % (uint64_t)(high - low + 1));
}

static bool one_in(struct cluster *cluster, uint64_t n)
{
    return chance(cluster) % n == 0;
}

int64_t cluster_clock_s(const struct cluster *cluster, const struct node *node)
{
    return cluster->now_s + node->skew_s;
}

static int64_t boot_ms(const struct cluster *cluster, const struct node *node)
{
    return (cluster->now_s - node->boot_s) * 1000;
}

bool cluster_sees(const struct cluster *cluster, const struct node *node, int key)
{
    return cluster->keys[key].visible_s + node->lag_s <= cluster->now_s;
}

const struct ring_key *cluster_reported(const struct node *node)
{
    const struct rotation_view *view = &node->rotation.view;
    if (view->has_serving) {
        return &view->serving;
    }
    return view->has_remembered ? &view->remembered : NULL;
}

static void add_key(struct cluster *cluster, int64_t not_before, int64_t created, int64_t visible_s,
                    enum ring_verdict verdict)
{
    if (cluster->keys_n == CLUSTER_KEYS_MAX) {
        return;
    }
    struct token_key *added = &cluster->keys[cluster->keys_n++];
    *added = (struct token_key){.visible_s = visible_s};
    for (size_t i = 0; i < KEK_ID_LEN; i++) {
        added->key.kek_id[i] = (uint8_t)(chance(cluster) | (i == 0));
    }
    added->key.not_before = (uint32_t)not_before;
    added->key.created = (uint32_t)created;
    added->key.verdict = verdict;
    added->may_serve = verdict == RING_GOOD && created <= not_before &&
                       not_before <= CLUSTER_EPOCH_S + (int64_t)RING_HORIZON_S;
    cluster->counts.created++;
}

static void add_odd_keys(struct cluster *cluster)
{
    int64_t now_s = cluster->now_s;
    int64_t lies_s = between(cluster, now_s - 5000, now_s + CLUSTER_RUN_S);
    if (one_in(cluster, 3)) {
        add_key(cluster, lies_s, lies_s + 1, between(cluster, now_s, now_s + 3000), RING_GOOD);
    }
    if (one_in(cluster, 3)) {
        add_key(cluster, lies_s, lies_s - 10, between(cluster, now_s, now_s + 3000), RING_BAD);
    }
    if (one_in(cluster, 3)) {
        add_key(cluster, now_s + 40 * 86400, now_s, between(cluster, now_s, now_s + 3000),
                RING_GOOD);
    }
}

static void init_node(struct cluster *cluster, struct node *node)
{
    node->boot_s = cluster->now_s - between(cluster, 0, 1000000);
    node->skew_s = between(cluster, -CLUSTER_SKEW_S, CLUSTER_SKEW_S);
    node->lag_s =
        one_in(cluster, 2) ? between(cluster, 0, 5) : between(cluster, 0, CLUSTER_LAG_MAX_S);
    node->wild = one_in(cluster, 8);
    if (node->wild) {
        node->skew_s = between(cluster, -100000, 100000);
    }
    node->hidden_key = -1;
    node->unreadable_key = -1;
    node->settled_s = cluster->now_s;
    rotation_init(&node->rotation, NULL, boot_ms(cluster, node));
}

void cluster_init(struct cluster *cluster, uint64_t seed)
{
    memset(cluster, 0, sizeof(*cluster));
    cluster->chance = seed;
    cluster->now_s = CLUSTER_EPOCH_S;
    add_key(cluster, CLUSTER_EPOCH_S - 100000, CLUSTER_EPOCH_S - 100000, CLUSTER_EPOCH_S - 100000,
            RING_GOOD);
    add_odd_keys(cluster);
    cluster->nodes_n = (int)between(cluster, 2, CLUSTER_NODES_MAX);
    for (int i = 0; i < cluster->nodes_n; i++) {
        init_node(cluster, &cluster->nodes[i]);
    }
}

/*
 * Which keys the maker of an emergency's KEK means to outrank: all that it sees, but for mad
 * clocks.
 */
static uint32_t seen_by_maker(const struct cluster *cluster, const struct node *node)
{
    uint32_t seen = 0;
    for (int i = 0; i < cluster->keys_n; i++) {
        bool near =
            cluster->keys[i].key.created <= cluster_clock_s(cluster, node) + (int64_t)RING_SKEW_S;
        if (near && cluster_sees(cluster, node, i) && i != node->hidden_key) {
            seen |= 1u << i;
        }
    }
    return seen;
}

static size_t list(const struct cluster *cluster, const struct node *node,
                   struct ring_key *ret_keys)
{
    size_t n = 0;
    for (int i = 0; i < cluster->keys_n; i++) {
        if (!cluster_sees(cluster, node, i) || i == node->hidden_key) {
            continue;
        }
        ret_keys[n] = cluster->keys[i].key;
        if (i == node->unreadable_key) {
            ret_keys[n].verdict = RING_UNKNOWN;
            if (i % 2 == 0) {
                memset(ret_keys[n].kek_id, 0, KEK_ID_LEN);
            }
        }
        n++;
    }
    return n;
}

/*
 * A creator: not-before by its own listing and clock; `created` is stamped, the key may appear much
 * later.
 */
static void create(struct cluster *cluster, const struct node *node)
{
    struct ring_key keys[CLUSTER_KEYS_MAX];
    struct ring_choice choice;
    size_t n = list(cluster, node, keys);
    int64_t clock_s = cluster_clock_s(cluster, node);
    uint32_t delay_s = one_in(cluster, 3) ? 0 : 300;
    int64_t at_s = delay_s > 0 && one_in(cluster, 3) ? clock_s + between(cluster, 300, 2000) : 0;
    uint32_t not_before = 0;
    ring_choose(keys, n, clock_s, &choice);
    if (node->outage_until_s > cluster->now_s ||
        cluster->keys_n == CLUSTER_KEYS_MAX ||
        failed(ring_next_not_before(choice.selected, clock_s, delay_s, at_s, &not_before))) {
        cluster->counts.refused++;
        return;
    }
    int64_t paused_s = one_in(cluster, 4) ? between(cluster, 1, 3000) : 0;
    int64_t created = ring_next_created(keys, n, clock_s);
    created = created < clock_s ? clock_s : created;
    uint32_t outranks = delay_s == 0 ? seen_by_maker(cluster, node) : 0;
    add_key(cluster, not_before < created ? created : not_before, created,
            cluster->now_s + paused_s, RING_GOOD);
    cluster->keys[cluster->keys_n - 1].outranks = outranks;
}

/*
 * A key that was wrongly out of sight while nothing is remembered: the first choice cannot know of
 * it.
 */
static void forgive_blind_start(struct node *node)
{
    const struct rotation_view *view = &node->rotation.view;
    if (node->hidden_key >= 0 && !view->has_serving && !view->has_remembered) {
        node->has_mark = false;
    }
}

static void restart(struct cluster *cluster, struct node *node)
{
    bool lost = one_in(cluster, 3);
    node->disk_has_key = node->disk_has_key && !lost;
    cluster->counts.restarts++;
    cluster->counts.lost_states += lost;
    node->settled_s = cluster->now_s;
    memset(node->proven, 0, sizeof(node->proven));
    rotation_init(&node->rotation, node->disk_has_key ? &node->disk_key : NULL,
                  boot_ms(cluster, node));
    if (lost && node->wild) {
        node->has_mark = false;
    }
}

static void jump_clock(struct cluster *cluster, struct node *node)
{
    node->wild = true;
    node->skew_s = between(cluster, -100000, 100000);
}

static void disturb(struct cluster *cluster, struct node *node)
{
    int64_t now_s = cluster->now_s;
    if (one_in(cluster, 1500)) {
        restart(cluster, node);
    }
    if (one_in(cluster, 3000)) {
        node->outage_until_s = now_s + between(cluster, 1, 900);
        cluster->counts.outages++;
    }
    if (one_in(cluster, 3000)) {
        node->hidden_key = (int)between(cluster, 0, cluster->keys_n - 1);
        node->hidden_until_s = now_s + between(cluster, 1, 120);
        cluster->counts.hidden++;
    }
    if (one_in(cluster, 3000)) {
        node->unreadable_key = (int)between(cluster, 0, cluster->keys_n - 1);
        node->unreadable_until_s = now_s + between(cluster, 1, 120);
        cluster->counts.unreadable++;
    }
    if (node->wild && one_in(cluster, 1500)) {
        jump_clock(cluster, node);
    }
    node->hidden_key = node->hidden_until_s > now_s ? node->hidden_key : -1;
    node->unreadable_key = node->unreadable_until_s > now_s ? node->unreadable_key : -1;
    if (node->outage_until_s > now_s || node->hidden_key >= 0 || node->unreadable_key >= 0) {
        node->settled_s = now_s;
    }
}

static void look(struct cluster *cluster, struct node *node)
{
    struct ring_key keys[CLUSTER_KEYS_MAX];
    int64_t ms = boot_ms(cluster, node);
    if (ms < node->rotation.view.list_at_ms) {
        return;
    }
    if (node->outage_until_s > cluster->now_s || one_in(cluster, 30)) {
        rotation_list_failed(&node->rotation, ms);
        return;
    }
    size_t n = list(cluster, node, keys);
    rotation_listed(&node->rotation, keys, n, cluster_clock_s(cluster, node), ms);
}

/* Unwraps the first seed of this key, if the token as this node sees it can. */
static bool unwraps(const struct cluster *cluster, struct node *node, const struct ring_key *key)
{
    for (int i = 0; i < cluster->keys_n; i++) {
        if (ring_same(&cluster->keys[i].key, key)) {
            node->proven[i] =
                node->proven[i] || (cluster_sees(cluster, node, i) && i != node->hidden_key &&
                                    i != node->unreadable_key);
            return node->proven[i];
        }
    }
    return false;
}

static void prove(struct cluster *cluster, struct node *node)
{
    struct ring_key wanted[4];
    size_t n = node->rotation.view.want_proof_n;
    memcpy(wanted, node->rotation.view.want_proof, sizeof(wanted));
    for (size_t i = 0; i < n && node->outage_until_s <= cluster->now_s; i++) {
        if (one_in(cluster, 3) && unwraps(cluster, node, &wanted[i])) {
            rotation_proven(&node->rotation, &wanted[i], cluster_clock_s(cluster, node),
                            boot_ms(cluster, node));
        }
    }
}

static void run_node(struct cluster *cluster, struct node *node)
{
    struct rotation *rotation = &node->rotation;
    disturb(cluster, node);
    forgive_blind_start(node);
    bool had = rotation->view.has_serving;
    struct ring_key before = rotation->view.serving;
    look(cluster, node);
    prove(cluster, node);
    (void)rotation_tick(rotation, cluster_clock_s(cluster, node), boot_ms(cluster, node));
    if (rotation->view.has_serving && (!had || !ring_same(&before, &rotation->view.serving))) {
        cluster->counts.switches++;
    }
    if (rotation->view.has_remembered) {
        node->disk_has_key = true;
        node->disk_key = rotation->view.remembered;
    }
}

void cluster_step(struct cluster *cluster)
{
    cluster->now_s++;
    if (one_in(cluster, 700)) {
        create(cluster, &cluster->nodes[between(cluster, 0, cluster->nodes_n - 1)]);
    }
    for (int i = 0; i < cluster->nodes_n; i++) {
        run_node(cluster, &cluster->nodes[i]);
    }
}
