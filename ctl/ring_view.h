/*
 * ring_view: a listing of the token as the ring sees it: each key's verdict, its place and why.
 * What the daemon decides with the same token/listing.h and keys/ring.h, shown to people.
 */
#ifndef CTL_RING_VIEW_H
#define CTL_RING_VIEW_H

#include "base/config.h"
#include "base/err.h"
#include "keys/key_id.h"
#include "keys/ring.h"
#include "token/listing.h"

#define RING_VIEW_STATE 400u
#define RING_VIEW_NAME  64u

struct ring_view_row {
    struct ipc_key key;
    struct ring_key ring;
    bool waived; /* by the configuration */
};

struct ring_view {
    struct ring_view_row *rows; /* of this ring; best first */
    struct ring_key *ring;      /* the same as the selection rule wants it */
    size_t n;
    size_t unnamed; /* keys of which not even the label could be read: they may be of this ring */
    size_t broken_labels; /* keys that begin like this ring's, but whose label does not parse */
    int64_t now_s;
    struct ring_choice choice; /* points into `ring` */
};

MUST_USE err_t ring_view_new(const struct config *config, const struct ipc_key *keys, size_t n,
                             int64_t now_s, struct ring_view *ret_view);
void ring_view_done(struct ring_view *view);

/* "active", "staged", "spare", "decrypt-only", "refused: CKA_…", "unreadable", … */
void ring_view_state(const struct ring_view *view, size_t row, char ret_text[RING_VIEW_STATE]);

/* True for a key that is to take over later: verified, or not readable now, within the horizon. */
bool ring_view_staged(const struct ring_view *view, size_t row);

/* key_id of a row; "" while its fingerprint is not known: without it a key has no name. */
void ring_view_key_id(const struct ring_view_row *row, char ret_text[KEY_ID_TEXT_LEN + 1]);
/* The same in a sentence; its label while it has no key_id. */
void ring_view_name(const struct ring_view_row *row, char ret_text[RING_VIEW_NAME]);

#endif
