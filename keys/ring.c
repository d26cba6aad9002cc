#include "keys/ring.h"

#define CLOCK_DOUBT_S (400 * 86400)

static int compare_u32(uint32_t a, uint32_t b)
{
    return a > b ? 1 : a < b ? -1 : 0;
}

static int compare_ids(const uint8_t *a, const uint8_t *b)
{
    for (size_t i = 0; i < KEK_ID_LEN; i++) {
        if (a[i] != b[i]) {
            return a[i] > b[i] ? 1 : -1;
        }
    }
    return 0;
}

int ring_compare(const struct ring_key *a, const struct ring_key *b)
{
    int order = compare_u32(a->created, b->created);
    if (order == 0) {
        order = compare_u32(a->not_before, b->not_before);
    }
    return order != 0 ? order : compare_ids(b->kek_id, a->kek_id);
}

bool ring_same(const struct ring_key *a, const struct ring_key *b)
{
    return ring_compare(a, b) == 0;
}

bool ring_has_id(const struct ring_key *key)
{
    static const uint8_t none[KEK_ID_LEN];
    return !span_equal(span_of(key->kek_id, KEK_ID_LEN), span_of(none, KEK_ID_LEN));
}

bool ring_unnamed(const struct ring_key *key)
{
    return key->verdict == RING_UNKNOWN && key->created == 0 && key->not_before == 0;
}

const struct ring_key *ring_find(const struct ring_key *keys, size_t n,
                                 const struct ring_key *wanted)
{
    for (size_t i = 0; i < n; i++) {
        if (ring_same(&keys[i], wanted)) {
            return &keys[i];
        }
    }
    return NULL;
}

static bool is_active(const struct ring_key *key, int64_t now_s)
{
    return key->created <= key->not_before && key->not_before <= now_s;
}

/* The better of two by rank; NULL ranks below everything. */
static const struct ring_key *higher(const struct ring_key *a, const struct ring_key *b)
{
    return a == NULL || (b != NULL && ring_compare(b, a) > 0) ? b : a;
}

/*
 * The one that becomes active first; of several at the same second the one that will be selected.
 */
static const struct ring_key *sooner(const struct ring_key *a, const struct ring_key *b)
{
    if (a == NULL || a->not_before == b->not_before) {
        return higher(a, b);
    }
    return b->not_before < a->not_before ? b : a;
}

static const struct ring_key *select_active(const struct ring_key *keys, size_t n, int64_t now_s)
{
    const struct ring_key *selected = NULL;
    for (size_t i = 0; i < n; i++) {
        if (keys[i].verdict == RING_GOOD && is_active(&keys[i], now_s)) {
            selected = higher(selected, &keys[i]);
        }
    }
    return selected;
}

/* A key that is still to come; one that ranks below what is selected already never seals. */
static void weigh_ahead(const struct ring_key *key, int64_t now_s, struct ring_choice *choice)
{
    if (key->not_before > now_s + (int64_t)RING_HORIZON_S) {
        choice->beyond_horizon = true;
    } else if (choice->selected == NULL || ring_compare(key, choice->selected) > 0) {
        choice->next = sooner(choice->next, key);
    }
}

static bool active_above(const struct ring_key *keys, size_t n, enum ring_verdict verdict,
                         int64_t now_s, const struct ring_key *selected)
{
    for (size_t i = 0; i < n; i++) {
        if (keys[i].verdict == verdict && is_active(&keys[i], now_s) &&
            (selected == NULL || ring_unnamed(&keys[i]) || ring_compare(&keys[i], selected) > 0)) {
            return true;
        }
    }
    return false;
}

void ring_choose(const struct ring_key *keys, size_t n, int64_t now_s,
                 struct ring_choice *ret_choice)
{
    struct ring_choice choice = {.selected = select_active(keys, n, now_s)};
    for (size_t i = 0; i < n; i++) {
        if (keys[i].created > keys[i].not_before) {
            choice.created_after_not_before = true;
        } else if (keys[i].verdict == RING_GOOD && keys[i].not_before > now_s) {
            weigh_ahead(&keys[i], now_s, &choice);
        }
    }
    choice.future_only = choice.selected == NULL && (choice.next != NULL || choice.beyond_horizon);
    choice.unknown_above = active_above(keys, n, RING_UNKNOWN, now_s, choice.selected);
    choice.bad_above = active_above(keys, n, RING_BAD, now_s, choice.selected);
    *ret_choice = choice;
}

bool ring_all_ahead(const struct ring_key *keys, size_t n, int64_t now_s)
{
    for (size_t i = 0; i < n; i++) {
        if (keys[i].not_before <= now_s) {
            return false;
        }
    }
    return n > 0;
}

bool ring_superseded(const struct ring_key *keys, size_t n, const struct ring_key *key)
{
    for (size_t i = 0; i < n; i++) {
        if (keys[i].verdict == RING_GOOD && is_active(&keys[i], key->not_before) &&
            ring_compare(&keys[i], key) > 0) {
            return true;
        }
    }
    return false;
}

uint32_t ring_next_created(const struct ring_key *keys, size_t n, int64_t now_s)
{
    uint32_t newest = 0;
    for (size_t i = 0; i < n; i++) {
        bool near = keys[i].created <= now_s + (int64_t)RING_SKEW_S;
        newest = near && keys[i].created > newest ? keys[i].created : newest;
    }
    return newest == 0 ? 0 : newest + 1;
}

err_t ring_next_not_before(const struct ring_key *selected, int64_t now_s, uint32_t delay_s,
                           int64_t at_s, uint32_t *ret_not_before)
{
    int64_t earliest = now_s + (int64_t)delay_s;
    if (selected != NULL && (int64_t)selected->not_before + 1 > earliest) {
        earliest = (int64_t)selected->not_before + 1;
    }
    int64_t not_before = at_s == 0 ? earliest : at_s;
    if (not_before < earliest) {
        return FAIL(E_INVALID, "earlier than the activation delay allows");
    }
    if (not_before > now_s + (int64_t)RING_HORIZON_S) {
        return FAIL(E_INVALID, "further ahead than 32 days");
    }
    if (not_before < 0 || not_before > (int64_t)UINT32_MAX) {
        return FAIL(E_INVALID, "not a time that a label can hold");
    }
    *ret_not_before = (uint32_t)not_before;
    return OK;
}

bool ring_clock_doubtful(const struct ring_key *keys, size_t n, int64_t now_s)
{
    uint32_t newest = 0;
    for (size_t i = 0; i < n; i++) {
        newest = keys[i].created > newest ? keys[i].created : newest;
    }
    return n > 0 && now_s > (int64_t)newest + CLOCK_DOUBT_S;
}
