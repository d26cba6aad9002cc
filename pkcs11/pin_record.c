#include "pkcs11/pin_record.h"

#define ANY_SERIAL "*"

static bool text_equal(const char *a, const char *b)
{
    return span_equal(span_of_text(a), span_of_text(b));
}

static bool is_clean(const struct pin_flags *flags)
{
    return flags->readable && !flags->locked && !flags->count_low && !flags->final_try;
}

static bool is_for(const struct pin_entry *entry, const char *serial)
{
    return text_equal(entry->serial, serial) || text_equal(entry->serial, ANY_SERIAL);
}

static bool is_intent(const struct pin_entry *entry)
{
    return entry->state == PIN_INTENT1 || entry->state == PIN_INTENT2;
}

static struct pin_entry *find_value(struct pin_record *record, const char *serial,
                                    const uint8_t *hash)
{
    for (size_t i = 0; i < record->n; i++) {
        struct pin_entry *entry = &record->entries[i];
        if (entry->has_hash && text_equal(entry->serial, serial) &&
            span_equal(span_of(entry->hash, PIN_RECORD_HASH), span_of(hash, PIN_RECORD_HASH))) {
            return entry;
        }
    }
    return NULL;
}

static bool has_wild(const struct pin_record *record, const char *serial)
{
    for (size_t i = 0; i < record->n; i++) {
        if (!record->entries[i].has_hash && is_for(&record->entries[i], serial)) {
            return true;
        }
    }
    return false;
}

/* A value that was wrong, or may well have been: its second try was cut short too. */
static bool has_failed(const struct pin_record *record, const char *serial)
{
    for (size_t i = 0; i < record->n; i++) {
        const struct pin_entry *entry = &record->entries[i];
        bool failed = entry->state == PIN_FAILED || entry->state == PIN_INTENT2;
        if (failed && is_for(entry, serial)) {
            return true;
        }
    }
    return false;
}

static void set_serial(struct pin_entry *entry, const char *serial)
{
    size_t n = span_of_text(serial).len;
    n = n < PIN_RECORD_SERIAL ? n : PIN_RECORD_SERIAL;
    span_move(entry->serial, serial, n);
    entry->serial[n] = '\0';
}

static struct pin_entry *add(struct pin_record *record, const char *serial, const uint8_t *hash)
{
    if (record->n == PIN_RECORD_ENTRIES) {
        return NULL;
    }
    struct pin_entry *entry = &record->entries[record->n++];
    *entry = (struct pin_entry){.has_hash = hash != NULL};
    set_serial(entry, serial);
    if (hash != NULL) {
        span_move(entry->hash, hash, PIN_RECORD_HASH);
    }
    return entry;
}

static void remove_at(struct pin_record *record, size_t i)
{
    record->entries[i] = record->entries[record->n - 1];
    record->n--;
}

static void remove_wild(struct pin_record *record, const char *serial)
{
    for (size_t i = record->n; i-- > 0;) {
        if (!record->entries[i].has_hash && is_for(&record->entries[i], serial)) {
            remove_at(record, i);
        }
    }
}

/* Values that were good before this one are history. */
static void remove_other_good(struct pin_record *record, const char *serial, const uint8_t *hash)
{
    for (size_t i = record->n; i-- > 0;) {
        const struct pin_entry *entry = &record->entries[i];
        bool same = entry->has_hash && span_equal(span_of(entry->hash, PIN_RECORD_HASH),
                                                  span_of(hash, PIN_RECORD_HASH));
        if (!same && entry->state == PIN_GOOD && text_equal(entry->serial, serial)) {
            remove_at(record, i);
        }
    }
}

bool pin_record_needs_hash(const struct pin_record *record, const char *serial,
                           const struct pin_flags *flags)
{
    if (!is_clean(flags) || record->n == PIN_RECORD_ENTRIES) {
        return true;
    }
    for (size_t i = 0; i < record->n; i++) {
        const struct pin_entry *entry = &record->entries[i];
        if (is_for(entry, serial) && entry->state != PIN_GOOD) {
            return true;
        }
    }
    return false;
}

/*
 * COUNT_LOW that a wrong value of this node explains does not stop another value: it is how a corrected
 * PIN gets its try. FINAL_TRY always does.
 */
static bool may_try_low(const struct pin_record *record, const char *serial,
                        const struct pin_entry *entry, const struct pin_flags *flags)
{
    if (entry != NULL && entry->once_good) {
        return true;
    }
    return !flags->final_try && has_failed(record, serial);
}

static enum pin_decision stop_known(const struct pin_entry *entry, int64_t now_s)
{
    if (entry->state == PIN_INTENT2) {
        return PIN_STOP_CUT;
    }
    if (entry->state == PIN_NONE && entry->restores >= PIN_RESTORES_MAX) {
        return PIN_STOP_ERRORS;
    }
    if (entry->state == PIN_NONE && entry->restores > 0 && now_s >= entry->restored_s &&
        now_s - entry->restored_s < PIN_RESTORE_WAIT_S) {
        return PIN_STOP_WAIT;
    }
    return entry->state == PIN_FAILED ? PIN_STOP_FAILED : PIN_TRY;
}

static enum pin_decision begin_hashed(struct pin_record *record, const char *serial,
                                      const uint8_t *hash, const struct pin_flags *flags,
                                      int64_t now_s)
{
    struct pin_entry *entry = find_value(record, serial, hash);
    if (entry != NULL) {
        enum pin_decision decision = stop_known(entry, now_s);
        if (decision != PIN_TRY) {
            return decision;
        }
    }
    bool second = has_wild(record, serial) || (entry != NULL && entry->state == PIN_INTENT1);
    if (!is_clean(flags) && (second || !may_try_low(record, serial, entry, flags))) {
        return PIN_STOP_LOW;
    }
    if (entry == NULL) {
        entry = add(record, serial, hash);
    }
    if (entry == NULL) {
        return PIN_STOP_FULL;
    }
    entry->state = second ? PIN_INTENT2 : PIN_INTENT1;
    return PIN_TRY;
}

enum pin_decision pin_record_begin(struct pin_record *record, const char *serial,
                                   const uint8_t *hash, const struct pin_flags *flags,
                                   int64_t now_s, bool ordered)
{
    if (!flags->readable) {
        return PIN_STOP_UNREADABLE;
    }
    if (flags->locked) {
        return PIN_STOP_LOCKED;
    }
    if (hash != NULL) {
        struct pin_flags clean = {.readable = true};
        return begin_hashed(record, serial, hash, ordered ? &clean : flags, now_s);
    }
    struct pin_entry *entry = add(record, serial, NULL);
    if (entry == NULL) {
        return PIN_STOP_FULL;
    }
    entry->state = PIN_INTENT1;
    return PIN_TRY;
}

void pin_record_take_back(struct pin_record *record, const char *serial)
{
    remove_wild(record, serial);
}

static void resolve(struct pin_entry *entry, enum pin_answer answer, const struct pin_flags *flags,
                    int64_t now_s)
{
    if (answer == PIN_ANSWER_GOOD) {
        entry->state = PIN_GOOD;
        entry->once_good = true;
        entry->restores = 0;
        entry->restored_s = 0;
    } else if (answer == PIN_ANSWER_WRONG) {
        entry->state = PIN_FAILED;
        entry->once_good = false;
    } else if (entry->once_good) {
        entry->state = PIN_GOOD;
    } else if (answer == PIN_ANSWER_NONE) {
        entry->state = PIN_NONE;
    } else if (is_clean(flags)) {
        entry->state = PIN_NONE;
        entry->restores++;
        entry->restored_s = now_s;
    } else if (!is_intent(entry)) {
        entry->state = PIN_INTENT1;
    }
}

void pin_record_end(struct pin_record *record, const char *serial,
                    const uint8_t hash[PIN_RECORD_HASH], enum pin_answer answer,
                    const struct pin_flags *flags, int64_t now_s)
{
    struct pin_entry *entry = find_value(record, serial, hash);
    /* Our own intent without hash; one left behind by another process stays until a login succeeds. */
    bool own_wild = entry == NULL || !is_intent(entry);
    if (own_wild || answer == PIN_ANSWER_GOOD) {
        remove_wild(record, serial);
        entry = find_value(record, serial, hash);
    }
    if (entry == NULL) {
        entry = add(record, serial, hash);
    }
    if (entry == NULL) {
        return;
    }
    resolve(entry, answer, flags, now_s);
    if (answer == PIN_ANSWER_GOOD) {
        remove_other_good(record, serial, hash);
    }
}
