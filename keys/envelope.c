#include "keys/envelope.h"

#define VERSION       1u
#define API_OFF       7u
#define DIRECT_EXTRA  18u /* suite 2 wraps a length and a check beside the DEK: 2 + 16 */

static const uint8_t magic[] = {'P', '1', '1', 'K'};

const char *envelope_scheme_name(uint8_t scheme)
{
    static const char *const names[] = {
        [ENVELOPE_AES_GCM] = "AES-256-GCM",
    };
    return scheme < sizeof(names) / sizeof(names[0]) ? names[scheme] : NULL;
}

static bool head_ok(const struct envelope_head *head)
{
    bool suite =
        head->suite == ENVELOPE_SEED || (head->suite == ENVELOPE_DIRECT && head->born == 0);
    bool api = head->api == ENVELOPE_V1 || head->api == ENVELOPE_V2;
    return suite && api && envelope_scheme_name(head->scheme) != NULL;
}

static struct envelope_head read_head(struct cursor *c)
{
    struct envelope_head head = {0};
    if (!span_equal(cursor_bytes(c, sizeof(magic)), span_of(magic, sizeof(magic))) ||
        cursor_u8(c) != VERSION) {
        c->bad = true;
    }
    head.suite = cursor_u8(c);
    head.scheme = cursor_u8(c);
    head.api = cursor_u8(c);
    cursor_copy(c, head.realm, sizeof(head.realm));
    cursor_copy(c, head.kek_id, sizeof(head.kek_id));
    head.activation = cursor_u32(c);
    head.born = cursor_u32(c);
    if (!head_ok(&head)) {
        c->bad = true;
    }
    return head;
}

/* Scheme 1: iv_len ‖ iv ‖ ciphertext ‖ tag, of exactly the size that the suite wraps. */
static bool wrapped_ok(uint8_t suite, struct span wrapped)
{
    struct cursor c = cursor_of(wrapped);
    uint8_t iv_len = cursor_u8(&c);
    (void)cursor_bytes(&c, iv_len);
    size_t left = c.rest.len;
    if (c.bad || (iv_len != 12 && iv_len != 16) || left < ENVELOPE_TAG) {
        return false;
    }
    size_t inner = left - ENVELOPE_TAG;
    return suite == ENVELOPE_SEED
               ? inner == SEED_LEN
               : inner > DIRECT_EXTRA && inner <= DIRECT_EXTRA + ENVELOPE_PLAIN_MAX;
}

static void read_sealed(struct cursor *c, struct span bytes, struct envelope *e)
{
    e->before_salt = span_part(bytes, 0, bytes.len - c->rest.len);
    e->salt = cursor_bytes(c, ENVELOPE_SALT);
    e->commitment = cursor_bytes(c, ENVELOPE_COMMIT);
    e->before_iv = span_part(bytes, 0, bytes.len - c->rest.len);
    e->iv = cursor_bytes(c, ENVELOPE_IV);
    size_t left = c->rest.len;
    if (left <= ENVELOPE_TAG || left > ENVELOPE_TAG + ENVELOPE_PLAIN_MAX) {
        c->bad = true;
        return;
    }
    e->ciphertext = cursor_bytes(c, left - ENVELOPE_TAG);
    e->tag = cursor_bytes(c, ENVELOPE_TAG);
}

err_t envelope_parse(struct span bytes, struct envelope *ret_envelope)
{
    struct envelope e = {0};
    struct cursor c = cursor_of(bytes);
    e.head = read_head(&c);
    e.wrapped = cursor_bytes(&c, cursor_u16(&c));
    if (!c.bad && wrapped_ok(e.head.suite, e.wrapped)) {
        if (e.head.suite == ENVELOPE_SEED) {
            read_sealed(&c, bytes, &e);
        }
        if (cursor_at_end(&c)) {
            *ret_envelope = e;
            return OK;
        }
    }
    return FAIL(E_INVALID, "not an envelope of ours");
}

static void rebase(struct span *span, const uint8_t *from, const uint8_t *to)
{
    if (span->len > 0) {
        span->ptr = to + (span->ptr - from);
    }
}

void envelope_rebase(struct envelope *envelope, const uint8_t *from, const uint8_t *to)
{
    rebase(&envelope->wrapped, from, to);
    rebase(&envelope->salt, from, to);
    rebase(&envelope->commitment, from, to);
    rebase(&envelope->iv, from, to);
    rebase(&envelope->ciphertext, from, to);
    rebase(&envelope->tag, from, to);
    rebase(&envelope->before_salt, from, to);
    rebase(&envelope->before_iv, from, to);
}

/* Bytes 0..47. */
static void write_fields(struct writer *w, const struct envelope_head *head)
{
    writer_bytes(w, span_of(magic, sizeof(magic)));
    writer_u8(w, VERSION);
    writer_u8(w, head->suite);
    writer_u8(w, head->scheme);
    writer_u8(w, head->api);
    writer_bytes(w, span_of(head->realm, sizeof(head->realm)));
    writer_bytes(w, span_of(head->kek_id, sizeof(head->kek_id)));
    writer_u32(w, head->activation);
    writer_u32(w, head->born);
}

void envelope_write_head(struct writer *w, const struct envelope_head *head, struct span wrapped)
{
    write_fields(w, head);
    if (wrapped.len > ENVELOPE_WRAPPED_MAX) {
        w->bad = true;
        return;
    }
    writer_u16(w, (uint16_t)wrapped.len);
    writer_bytes(w, wrapped);
}

void envelope_wrap_aad(const struct envelope_head *head, uint8_t ret_aad[ENVELOPE_WRAP_AAD])
{
    struct writer w = writer_of(span_mut_of(ret_aad, ENVELOPE_WRAP_AAD));
    write_fields(&w, head);
    if (head->suite == ENVELOPE_SEED) {
        ret_aad[API_OFF] = 0; /* one seed serves both APIs */
    }
}
