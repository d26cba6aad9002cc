#include "server/kms/remember.h"

#include <stdbool.h>

enum version { VERSION_1 = 1, VERSION_2 };

static const uint8_t magic[4] = {'P', '1', '1', 'S'};

static void read_name(struct cursor *c, uint8_t version, const uint8_t realm[ENVELOPE_REALM],
                      struct seed_name *ret_name)
{
    struct seed_name name = {.head = {.suite = ENVELOPE_SEED}};
    uint8_t own = cursor_u8(c);
    name.own = own == 1;
    name.head.scheme = cursor_u8(c);
    span_move(name.head.realm, realm, ENVELOPE_REALM);
    cursor_copy(c, name.head.kek_id, KEK_ID_LEN);
    name.head.activation = cursor_u32(c);
    name.head.born = cursor_u32(c);
    name.wrapped_len = version == VERSION_1 ? cursor_u8(c) : cursor_u16(c);
    struct span wrapped = cursor_bytes(c, name.wrapped_len);
    bool fits = own <= 1 && envelope_scheme_name(name.head.scheme) != NULL && wrapped.len > 0 &&
                span_copy(span_mut_of(name.wrapped, sizeof(name.wrapped)), wrapped);
    c->bad |= !fits;
    *ret_name = name;
}

err_t remember_parse(struct span bytes, const uint8_t realm[ENVELOPE_REALM],
                     struct seed_name *names, size_t max, size_t *ret_n)
{
    struct cursor c = cursor_of(bytes);
    bool ours = span_equal(cursor_bytes(&c, sizeof(magic)), span_of(magic, sizeof(magic)));
    uint8_t version = cursor_u8(&c);
    ours &= span_equal(cursor_bytes(&c, ENVELOPE_REALM), span_of(realm, ENVELOPE_REALM));
    if (!ours || version < VERSION_1 || version > VERSION_2) {
        return FAIL(E_INVALID, "not remembered seeds of this version and ring");
    }
    size_t n = 0;
    while (c.rest.len > 0 && !c.bad && n < max) {
        read_name(&c, version, realm, &names[n++]);
    }
    if (!cursor_at_end(&c)) {
        return FAIL(E_INVALID, "remembered seeds are broken");
    }
    *ret_n = n;
    return OK;
}

void remember_begin(struct writer *w, const uint8_t realm[ENVELOPE_REALM])
{
    writer_bytes(w, span_of(magic, sizeof(magic)));
    writer_u8(w, VERSION_2);
    writer_bytes(w, span_of(realm, ENVELOPE_REALM));
}

void remember_put(struct writer *w, const struct seed_name *name)
{
    writer_u8(w, name->own ? 1 : 0);
    writer_u8(w, name->head.scheme);
    writer_bytes(w, span_of(name->head.kek_id, KEK_ID_LEN));
    writer_u32(w, name->head.activation);
    writer_u32(w, name->head.born);
    writer_u16(w, name->wrapped_len);
    writer_bytes(w, seed_name_wrapped(name));
}
