#include "server/rotation/rotation.h"

#include <string.h>

#define FNV_OFFSET 0xcbf29ce484222325u
#define FNV_PRIME  0x100000001b3u

void rotation_init(struct rotation *rotation, const struct ring_key *remembered, int64_t boot_ms)
{
    memset(rotation, 0, sizeof(*rotation));
    rotation->equal_since_ms = -1;
    rotation->canary_wrong_ms = -1;
    rotation->view.list_at_ms = boot_ms;
    if (remembered != NULL) {
        rotation->view.has_remembered = true;
        rotation->view.remembered = *remembered;
        rotation->view.remembered.verdict = RING_GOOD;
    }
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ p[i]) * FNV_PRIME;
    }
    return hash;
}

/* Equal for the same keys in any order; not for security, both listings come from our own token. */
static uint64_t hash_listing(const struct ring_key *keys, size_t n)
{
    uint64_t sum = n;
    for (size_t i = 0; i < n; i++) {
        uint64_t hash = hash_bytes(FNV_OFFSET, keys[i].kek_id, sizeof(keys[i].kek_id));
        hash = hash_bytes(hash, &keys[i].not_before, sizeof(keys[i].not_before));
        hash = hash_bytes(hash, &keys[i].created, sizeof(keys[i].created));
        sum += hash_bytes(hash, &keys[i].verdict, sizeof(keys[i].verdict));
    }
    return sum;
}

/*
 * What an unreadable key was when it could last be read: the same dates, and not seen elsewhere
 * now.
 */
static const struct ring_key *last_known(const struct rotation *rotation,
                                         const struct ring_key *unreadable,
                                         const struct ring_key *keys, size_t n)
{
    for (size_t i = 0; i < rotation->keys_n; i++) {
        const struct ring_key *old = &rotation->keys[i];
        bool fits = old->verdict != RING_UNKNOWN && old->not_before == unreadable->not_before &&
                    old->created == unreadable->created;
        if (fits && ring_has_id(unreadable) ? ring_same(old, unreadable)
                                       : fits && ring_find(keys, n, old) == NULL) {
            return old;
        }
    }
    return NULL;
}

static void take_listing(struct rotation *rotation, const struct ring_key *keys, size_t n)
{
    struct ring_key fresh[ROTATION_KEYS_MAX];
    for (size_t i = 0; i < n; i++) {
        const struct ring_key *known =
            keys[i].verdict == RING_UNKNOWN ? last_known(rotation, &keys[i], keys, n) : NULL;
        fresh[i] = known != NULL ? *known : keys[i];
    }
    span_move(rotation->keys, fresh, n * sizeof(fresh[0]));
    rotation->keys_n = n;
}

/* The key whose fate decides the health: what serves, or at start what served last. */
static const struct ring_key *subject(const struct rotation_view *view)
{
    if (view->has_serving) {
        return &view->serving;
    }
    return view->has_remembered ? &view->remembered : NULL;
}

static bool same_dates(const struct ring_key *a, const struct ring_key *b)
{
    return a->not_before == b->not_before && a->created == b->created;
}

/* Not all of it could be read, and the rest fits. */
static bool may_be(const struct ring_key *key, const struct ring_key *wanted)
{
    return key->verdict == RING_UNKNOWN && !ring_has_id(key) &&
           (ring_unnamed(key) || same_dates(key, wanted));
}

/* Of the same dates, and yet by its name another. */
static bool is_another(const struct ring_key *key, const struct ring_key *wanted)
{
    return same_dates(key, wanted) && ring_has_id(key);
}

/* False: the listing does not tell, for the key, or one that may be it, could not be read. */
static bool look_at(const struct rotation *rotation, const struct ring_key *wanted,
                    enum rotation_verdict *ret_seen)
{
    const struct ring_key *found = ring_find(rotation->keys, rotation->keys_n, wanted);
    if (found != NULL) {
        *ret_seen = found->verdict == RING_BAD ? ROTATION_BAD : ROTATION_FINE;
        return found->verdict != RING_UNKNOWN;
    }
    enum rotation_verdict seen = ROTATION_MISSING;
    for (size_t i = 0; i < rotation->keys_n; i++) {
        const struct ring_key *key = &rotation->keys[i];
        if (may_be(key, wanted)) {
            return false;
        }
        seen = is_another(key, wanted) ? ROTATION_CHANGED : seen;
    }
    *ret_seen = seen;
    return seen != ROTATION_MISSING || !rotation->in_part;
}

static void judge_listing(struct rotation *rotation, int64_t boot_ms)
{
    const struct ring_key *wanted = subject(&rotation->view);
    enum rotation_verdict seen = ROTATION_FINE;
    if (wanted != NULL && !look_at(rotation, wanted, &seen)) {
        return; /* what is unknown is not different: the last state holds */
    }
    if (seen == ROTATION_FINE && rotation->view.verdict == ROTATION_BAD) {
        rotation->view.verdict = ROTATION_FINE;
    }
    if (seen != rotation->suspected) {
        rotation->suspected = seen;
        rotation->suspected_ms = boot_ms;
    } else if (seen != ROTATION_FINE && boot_ms - rotation->suspected_ms >= ROTATION_LOOK_MS) {
        rotation->view.verdict = seen;
    }
}

static bool is_proven(const struct rotation *rotation, const struct ring_key *key)
{
    return ring_find(rotation->proven, rotation->proven_n, key) != NULL;
}

/*
 * Nothing remembered: the first choice needs two equal looks, and no unreadable key that could
 * outrank it.
 */
static bool may_choose(const struct rotation *rotation, const struct ring_choice *choice)
{
    if (rotation->view.has_serving || rotation->view.has_remembered) {
        return true;
    }
    bool two_looks = rotation->equal_since_ms >= 0 &&
                     rotation->listed_ms - rotation->equal_since_ms >= ROTATION_LOOK_MS;
    return two_looks && !choice->unknown_above;
}

static const struct ring_key *listed_remembered(const struct rotation *rotation)
{
    if (!rotation->view.has_remembered) {
        return NULL;
    }
    const struct ring_key *found =
        ring_find(rotation->keys, rotation->keys_n, &rotation->view.remembered);
    return found != NULL && found->verdict == RING_GOOD ? found : NULL;
}

/* True when `key` may follow what serves or served: never back in the order. */
static bool not_older(const struct rotation_view *view, const struct ring_key *key)
{
    return !view->has_remembered || ring_compare(key, &view->remembered) >= 0;
}

/*
 * True for a key that took the place of the one that serves or served: the same dates, another
 * value.
 */
static bool replaces(const struct rotation *rotation, const struct ring_key *key)
{
    const struct ring_key *wanted = subject(&rotation->view);
    if (wanted == NULL || ring_same(wanted, key) || !same_dates(wanted, key)) {
        return false;
    }
    enum rotation_verdict seen;
    return !look_at(rotation, wanted, &seen) || seen == ROTATION_CHANGED;
}

static const struct ring_key *candidate(const struct rotation *rotation,
                                        const struct ring_choice *choice)
{
    const struct ring_key *selected = choice->selected;
    if (selected != NULL && not_older(&rotation->view, selected) && !replaces(rotation, selected) &&
        is_proven(rotation, selected)) {
        return selected;
    }
    const struct ring_key *remembered = listed_remembered(rotation);
    bool stands_in =
        !rotation->view.has_serving && remembered != NULL && is_proven(rotation, remembered);
    return stands_in ? remembered : NULL;
}

static void serve(struct rotation *rotation, const struct ring_key *key)
{
    struct rotation_view *view = &rotation->view;
    if (view->has_serving && ring_same(&view->serving, key)) {
        return;
    }
    view->has_serving = true;
    view->serving = *key;
    view->verdict = ROTATION_FINE;
    rotation->suspected = ROTATION_FINE;
    rotation->canary_wrong_ms = -1;
    if (!view->has_remembered || ring_compare(key, &view->remembered) > 0) {
        view->has_remembered = true;
        view->remembered = *key;
    }
}

static void want_proof(struct rotation *rotation, const struct ring_key *key)
{
    struct rotation_view *view = &rotation->view;
    if (key == NULL || is_proven(rotation, key) ||
        ring_find(view->want_proof, view->want_proof_n, key) != NULL) {
        return;
    }
    view->want_proof[view->want_proof_n++] = *key;
}

/* What waits for its proof, and since when. */
static void watch_selected(struct rotation *rotation, const struct ring_choice *choice,
                           int64_t boot_ms)
{
    struct rotation_view *view = &rotation->view;
    const struct ring_key *selected = choice->selected;
    if (selected != NULL && !(view->has_selected && ring_same(&view->selected, selected))) {
        rotation->selected_ms = boot_ms;
    }
    view->has_selected = selected != NULL;
    if (selected != NULL) {
        view->selected = *selected;
    }
    view->alarm_unproven = selected != NULL && !is_proven(rotation, selected) &&
                           boot_ms - rotation->selected_ms >= ROTATION_ALARM_MS;
}

static int64_t floored(const struct rotation_view *view, int64_t now_s)
{
    return view->has_remembered && view->remembered.not_before > now_s ? view->remembered.not_before
                                                                        : now_s;
}

static bool wants_fast_look(const struct rotation *rotation)
{
    const struct rotation_view *view = &rotation->view;
    return !view->has_serving || rotation->suspected != ROTATION_FINE ||
           view->verdict != ROTATION_FINE || rotation->canary_wrong_ms >= 0 ||
           (view->has_selected && !is_proven(rotation, &view->selected));
}

/*
 * When the pace of listing becomes faster the next one moves nearer; never nearer than the pace
 * itself.
 */
static void pace_listing(struct rotation *rotation)
{
    int64_t every = wants_fast_look(rotation) ? ROTATION_LIST_FAST_MS : ROTATION_LIST_MS;
    if (rotation->listed && rotation->looked_ms + every < rotation->view.list_at_ms) {
        rotation->view.list_at_ms = rotation->looked_ms + every;
    }
}

static void evaluate(struct rotation *rotation, int64_t now_s, int64_t boot_ms)
{
    struct rotation_view *view = &rotation->view;
    struct ring_choice choice;
    ring_choose(rotation->keys, rotation->keys_n, floored(view, now_s), &choice);
    const struct ring_key *next_serving =
        may_choose(rotation, &choice) ? candidate(rotation, &choice) : NULL;
    if (next_serving != NULL) {
        serve(rotation, next_serving);
    }
    watch_selected(rotation, &choice, boot_ms);
    view->want_proof_n = 0;
    want_proof(rotation, choice.selected);
    want_proof(rotation, view->has_serving ? NULL : listed_remembered(rotation));
    want_proof(rotation, choice.next);
    view->older_than_remembered =
        !view->has_serving && view->has_remembered &&
        (choice.selected == NULL || !not_older(view, choice.selected));
    view->switch_at_s = choice.next == NULL ? 0 : choice.next->not_before;
    view->alarm_horizon = choice.beyond_horizon;
    view->alarm_unknown_above = choice.unknown_above;
    view->clock_suspect = choice.future_only;
    view->ring_empty = rotation->listed && !rotation->in_part && rotation->keys_n == 0;
    pace_listing(rotation);
}

/* A key that is gone is proven anew should it come back; what serves is judged elsewhere. */
static void forget_unlisted(struct rotation *rotation)
{
    const struct ring_key *wanted = subject(&rotation->view);
    size_t kept = 0;
    for (size_t i = 0; i < rotation->proven_n; i++) {
        const struct ring_key *key = &rotation->proven[i];
        if (rotation->in_part || (wanted != NULL && ring_same(wanted, key)) ||
            ring_find(rotation->keys, rotation->keys_n, key) != NULL) {
            rotation->proven[kept++] = *key;
        }
    }
    rotation->proven_n = kept;
}

void rotation_listed(struct rotation *rotation, const struct ring_key *keys, size_t n,
                     int64_t now_s, int64_t boot_ms)
{
    take_listing(rotation, keys, n < ROTATION_KEYS_MAX ? n : ROTATION_KEYS_MAX);
    uint64_t hash = hash_listing(rotation->keys, rotation->keys_n);
    if (!rotation->listed || hash != rotation->listing_hash) {
        rotation->equal_since_ms = boot_ms;
    }
    rotation->listing_hash = hash;
    rotation->listed = true;
    rotation->listed_ms = boot_ms;
    rotation->looked_ms = boot_ms;
    rotation->view.list_at_ms = boot_ms + ROTATION_LIST_MS;
    forget_unlisted(rotation);
    judge_listing(rotation, boot_ms);
    evaluate(rotation, now_s, boot_ms);
}

void rotation_list_failed(struct rotation *rotation, int64_t boot_ms)
{
    rotation->looked_ms = boot_ms;
    rotation->view.list_at_ms = boot_ms + ROTATION_LIST_FAST_MS;
}

void rotation_look_soon(struct rotation *rotation)
{
    int64_t soon_ms = rotation->looked_ms + ROTATION_LIST_FAST_MS;
    if (soon_ms < rotation->view.list_at_ms) {
        rotation->view.list_at_ms = soon_ms;
    }
}

/* Room for one more: what nobody needs any longer goes first. */
static void forget_one_proof(struct rotation *rotation)
{
    const struct rotation_view *view = &rotation->view;
    size_t victim = 0;
    for (size_t i = 0; i < rotation->proven_n; i++) {
        const struct ring_key *key = &rotation->proven[i];
        bool needed = (view->has_serving && ring_same(key, &view->serving)) ||
                      (view->has_selected && ring_same(key, &view->selected)) ||
                      (view->switch_at_s == (int64_t)key->not_before);
        if (!needed) {
            victim = i;
            break;
        }
    }
    rotation->proven[victim] = rotation->proven[--rotation->proven_n];
}

void rotation_proven(struct rotation *rotation, const struct ring_key *key, int64_t now_s,
                     int64_t boot_ms)
{
    if (!is_proven(rotation, key)) {
        if (rotation->proven_n == ROTATION_PROVEN_MAX) {
            forget_one_proof(rotation);
        }
        rotation->proven[rotation->proven_n++] = *key;
    }
    const struct ring_key *wanted = subject(&rotation->view);
    if (wanted != NULL && ring_same(wanted, key)) {
        rotation->canary_wrong_ms = -1;
        if (rotation->view.verdict != ROTATION_BAD) {
            rotation->view.verdict = ROTATION_FINE;
        }
    }
    evaluate(rotation, now_s, boot_ms);
}

void rotation_canary_wrong(struct rotation *rotation, int64_t boot_ms)
{
    if (rotation->canary_wrong_ms < 0) {
        rotation->canary_wrong_ms = boot_ms;
    } else if (boot_ms - rotation->canary_wrong_ms >= ROTATION_LOOK_MS) {
        rotation->view.verdict = ROTATION_CHANGED;
    }
    pace_listing(rotation);
}

bool rotation_tick(struct rotation *rotation, int64_t now_s, int64_t boot_ms)
{
    bool had = rotation->view.has_serving;
    struct ring_key before = rotation->view.serving;
    evaluate(rotation, now_s, boot_ms);
    return rotation->view.has_serving && (!had || !ring_same(&before, &rotation->view.serving));
}
