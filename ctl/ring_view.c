#include "ctl/ring_view.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "keys/key_id.h"

/* A row for a key of the ring; others are counted, as far as they matter to it. */
static void take_key(struct ring_view *view, const struct config *config,
                     const struct ipc_key *key)
{
    struct listing_key judged;
    listing_judge(key, config->ring, &config->tokens[0], &judged);
    switch (judged.place) {
    case LISTING_ELSEWHERE:
        return;
    case LISTING_UNNAMED:
        view->unnamed++;
        return;
    case LISTING_BROKEN:
        view->broken_labels++;
        return;
    case LISTING_IN_RING:
        view->rows[view->n++] = (struct ring_view_row){
            .key = *key, .ring = judged.ring, .waived = judged.waived};
        return;
    }
}

static int better_first(const void *a, const void *b)
{
    const struct ring_view_row *left = a;
    const struct ring_view_row *right = b;
    return ring_compare(&right->ring, &left->ring);
}

err_t ring_view_new(const struct config *config, const struct ipc_key *keys, size_t n,
                    int64_t now_s, struct ring_view *ret_view)
{
    CLEANUP(ring_view_done) struct ring_view view = {.now_s = now_s};
    view.rows = calloc(n + 1, sizeof(*view.rows));
    view.ring = calloc(n + 1, sizeof(*view.ring));
    if (view.rows == NULL || view.ring == NULL) {
        return FAIL_ERRNO("out of memory for a listing");
    }
    for (size_t i = 0; i < n; i++) {
        take_key(&view, config, &keys[i]);
    }
    qsort(view.rows, view.n, sizeof(*view.rows), better_first);
    for (size_t i = 0; i < view.n; i++) {
        view.ring[i] = view.rows[i].ring;
    }
    ring_choose(view.ring, view.n, now_s, &view.choice);
    view.choice.unknown_above |= view.unnamed > 0;
    *ret_view = view;
    view = (struct ring_view){0}; /* NOLINT(clang-analyzer-deadcode.DeadStores): cleanup reads it */
    return OK;
}

void ring_view_done(struct ring_view *view)
{
    free(view->rows);
    free(view->ring);
    *view = (struct ring_view){0};
}

static const char *good_state(const struct ring_view *view, const struct ring_key *key)
{
    const struct ring_choice *choice = &view->choice;
    if (key == choice->selected) {
        return "active";
    }
    if (key->created > key->not_before) {
        return "ignored: created after its not-before";
    }
    if (key->not_before > view->now_s + (int64_t)RING_HORIZON_S) {
        return "ignored: beyond the horizon of 32 days";
    }
    if (key->not_before > view->now_s) {
        return ring_superseded(view->ring, view->n, key) ? "superseded" : "staged";
    }
    bool twin = choice->selected != NULL && choice->selected->not_before == key->not_before;
    return twin ? "spare" : "decrypt-only";
}

bool ring_view_staged(const struct ring_view *view, size_t row)
{
    const struct ring_key *key = &view->ring[row];
    return key->verdict != RING_BAD && key->created <= key->not_before &&
           key->not_before > view->now_s &&
           key->not_before <= view->now_s + (int64_t)RING_HORIZON_S &&
           !ring_superseded(view->ring, view->n, key);
}

void ring_view_state(const struct ring_view *view, size_t row, char ret_text[RING_VIEW_STATE])
{
    char names[RING_VIEW_STATE];
    const struct ring_view_row *at = &view->rows[row];
    switch (at->ring.verdict) {
    case RING_GOOD:
        (void)snprintf(ret_text, RING_VIEW_STATE, "%s%s", good_state(view, &view->ring[row]),
                       at->waived ? " (waived)" : "");
        return;
    case RING_BAD:
        listing_faults(&at->key, names, sizeof(names));
        (void)snprintf(ret_text, RING_VIEW_STATE, "refused: %.380s", names);
        return;
    case RING_UNKNOWN:
        (void)snprintf(ret_text, RING_VIEW_STATE, "unreadable: CK_RV 0x%llx",
                       (unsigned long long)at->key.rv);
        return;
    }
}

void ring_view_key_id(const struct ring_view_row *row, char ret_text[KEY_ID_TEXT_LEN + 1])
{
    ret_text[0] = '\0';
    if (ring_has_id(&row->ring)) {
        key_id_text(row->ring.kek_id, row->ring.not_before, ret_text);
    }
}

void ring_view_name(const struct ring_view_row *row, char ret_text[RING_VIEW_NAME])
{
    char key_id[KEY_ID_TEXT_LEN + 1];
    ring_view_key_id(row, key_id);
    (void)snprintf(ret_text, RING_VIEW_NAME, "%s", key_id[0] != '\0' ? key_id : row->key.label);
}
