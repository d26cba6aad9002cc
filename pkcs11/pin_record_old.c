#include "pkcs11/pin_record_old.h"

struct entry {
    enum scan_whose whose;
    struct span state;
    struct pin_failed failed; /* its hash */
    bool once_good;
    uint32_t restores;
    int64_t restored_s;
};

static bool is(struct span state, const char *text)
{
    return span_equal(state, span_of_text(text));
}

static bool is_state(struct span state)
{
    return is(state, "none") || is(state, "intent1") || is(state, "intent2") ||
           is(state, "failed") || is(state, "good");
}

static bool parse_entry(struct cursor *c, const char *serial, struct entry *entry)
{
    struct span word = scan_until(c, '=');
    return is(word, "entry") && scan_whose(c, serial, &entry->whose) &&
           is_state(entry->state = scan_until(c, ' ')) &&
           scan_hash(scan_until(c, ' '), &entry->failed) && scan_flag(c, &entry->once_good) &&
           scan_count(c, &entry->restores) &&
           scan_decimal(scan_until(c, '\n'), INT64_MAX, &entry->restored_s);
}

static void add_to_token(struct pin_token *token, const struct entry *entry)
{
    token->known = token->known || entry->once_good;
    if (is(entry->state, "intent2")) {
        token->cut = PIN_CUT_MAX;
    } else if (is(entry->state, "intent1")) {
        token->cut++;
    }
    token->errors = entry->restores > token->errors ? entry->restores : token->errors;
    token->last_s = entry->restored_s > token->last_s ? entry->restored_s : token->last_s;
}

/* Of all hashes only those of failed values are kept. */
static bool add_failed(struct pin_record *record, const struct entry *entry)
{
    if (!is(entry->state, "failed")) {
        return true;
    }
    if (record->failed_n == PIN_RECORD_FAILED) {
        return false;
    }
    record->failed[record->failed_n++] = entry->failed;
    return true;
}

bool pin_record_parse_old(struct cursor *c, struct scan_lines *lines)
{
    while (c->rest.len > 0) {
        struct entry entry = {.whose = SCAN_OTHER};
        if (!parse_entry(c, lines->serial, &entry)) {
            return false;
        }
        if (entry.whose == SCAN_ANY) {
            add_to_token(&lines->any, &entry);
        } else if (entry.whose == SCAN_OWN) {
            lines->own = true;
            add_to_token(&lines->record->token, &entry);
            if (!add_failed(lines->record, &entry)) {
                return false;
            }
        }
    }
    return true;
}
