#include "pkcs11/wrap.h"

#include "pkcs11/find.h"

const struct wrap_scheme *wrap_scheme(uint8_t number)
{
    size_t n = 0;
    const struct wrap_scheme *const *table = wrap_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (table[i]->number == number) {
            return table[i];
        }
    }
    return NULL;
}

static struct find_what of_kind(const struct wrap_object *object, struct span id)
{
    return (struct find_what){.class = object->class, .type = object->type, .id = id};
}

/* The same objects on the token begin KEKs of both. */
static bool begin_alike(const struct wrap_scheme *a, const struct wrap_scheme *b)
{
    return a->objects[0]->class == b->objects[0]->class &&
           a->objects[0]->type == b->objects[0]->type;
}

static bool looked_for(const struct wrap_scheme *const *table, size_t i)
{
    for (size_t before = 0; before < i; before++) {
        if (begin_alike(table[before], table[i])) {
            return true;
        }
    }
    return false;
}

static err_t find_first(const struct session *session, const struct wrap_scheme *scheme,
                        struct span id, struct wrap_kek *keks, size_t max, size_t *ret_n)
{
    CK_OBJECT_HANDLE handles[WRAP_KEKS_MAX];
    const struct find_what what = of_kind(scheme->objects[0], id);
    size_t n = 0;
    TRY(find_objects(session, &what, handles, max, &n));
    for (size_t i = 0; i < n; i++) {
        keks[i] = (struct wrap_kek){.scheme = scheme, .handles = {handles[i]}};
    }
    *ret_n = n;
    return OK;
}

err_t wrap_find(const struct session *session, struct span id, struct wrap_kek *keks, size_t max,
                size_t *ret_n)
{
    size_t table_n = 0;
    const struct wrap_scheme *const *table = wrap_table(&table_n);
    size_t n = 0;
    for (size_t i = 0; i < table_n; i++) {
        size_t more = 0;
        if (!looked_for(table, i)) {
            TRY(find_first(session, table[i], id, keks + n, max - n, &more));
            n += more;
        }
    }
    *ret_n = n;
    return OK;
}

/* E_LIMIT: two objects where there should be one are not told apart. */
static err_t find_others(const struct session *session, const struct wrap_scheme *scheme,
                         struct span id, struct wrap_kek *kek, bool *ret_all)
{
    *ret_all = true;
    for (unsigned i = 1; i < scheme->objects_n && *ret_all; i++) {
        size_t n = 0;
        const struct find_what what = of_kind(scheme->objects[i], id);
        TRY(find_objects(session, &what, &kek->handles[i], 1, &n));
        *ret_all = n == 1;
    }
    return OK;
}

err_t wrap_complete(const struct session *session, struct span id, struct wrap_kek *kek)
{
    size_t n = 0;
    const struct wrap_scheme *const *table = wrap_table(&n);
    for (size_t i = 0; i < n; i++) {
        struct wrap_kek whole = {.scheme = table[i], .handles = {kek->handles[0]}};
        bool all = false;
        if (!begin_alike(table[i], kek->scheme)) {
            continue;
        }
        TRY(find_others(session, table[i], id, &whole, &all));
        if (all) {
            *kek = whole;
            return OK;
        }
    }
    return FAIL(E_NOT_FOUND, "not all objects of a KEK are on the token");
}
