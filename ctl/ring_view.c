#include "ctl/ring_view.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "keys/key_id.h"

err_t ring_view_kek_id(const struct ipc_key *key, uint8_t ret_kek_id[KEK_ID_LEN])
{
    const struct ipc_key_ref *ref = &key->ref;
    if (ref->id_len == 0 || ref->fingerprint_len == 0) {
        return FAIL(E_INVALID, "a key whose id or fingerprint is not known");
    }
    return key_id_kek(key->scheme, span_of(ref->id, ref->id_len),
                      span_of(ref->fingerprint, ref->fingerprint_len), ret_kek_id);
}

static void judge(const struct config *config, struct ring_view_row *row)
{
    row->ring.verdict = RING_UNKNOWN;
    if (row->key.state == IPC_KEY_NO_ID) {
        row->ring.verdict = RING_BAD;
        return;
    }
    if (row->key.state != IPC_KEY_READ || failed(ring_view_kek_id(&row->key, row->ring.kek_id))) {
        return;
    }
    bool waived = config_waives(&config->tokens[0], row->ring.kek_id);
    row->waived = waived && ipc_key_faults(&row->key, false) != 0;
    row->ring.verdict = ipc_key_faults(&row->key, waived) == 0 ? RING_GOOD : RING_BAD;
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
        struct ring_view_row row = {.key = keys[i]};
        bool broken = keys[i].activation.by == IPC_BY_BROKEN_LABEL;
        bool of_ring = ipc_key_of_ring(&keys[i], config->ring);
        view.broken_labels += of_ring && broken;
        view.unnamed += ipc_key_unnamed(&keys[i]);
        if (of_ring && !broken) {
            row.ring.not_before = keys[i].activation.not_before;
            row.ring.created = keys[i].activation.created;
            judge(config, &row);
            view.rows[view.n++] = row;
        }
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

void ring_view_faults(const struct ipc_key *key, char ret_text[RING_VIEW_STATE])
{
    if (key->state == IPC_KEY_NO_ID) {
        (void)snprintf(ret_text, RING_VIEW_STATE, "CKA_ID is empty or longer than 64 bytes");
    } else {
        ipc_attribute_names(ipc_key_faults(key, false), ret_text, RING_VIEW_STATE);
    }
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

bool ring_view_all_ahead(const struct ring_view *view)
{
    for (size_t i = 0; i < view->n; i++) {
        if (view->ring[i].not_before <= view->now_s) {
            return false;
        }
    }
    return view->n > 0;
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
        ring_view_faults(&at->key, names);
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
    uint8_t kek_id[KEK_ID_LEN];
    ret_text[0] = '\0';
    if (!failed(ring_view_kek_id(&row->key, kek_id))) {
        key_id_text(kek_id, row->ring.not_before, ret_text);
    }
}
