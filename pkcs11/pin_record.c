#include "pkcs11/pin_record.h"

static bool is_clean(const struct pin_flags *flags)
{
    return flags->readable && !flags->locked && !flags->count_low && !flags->final_try;
}

bool pin_flags_are_worse(const struct pin_flags *before, const struct pin_flags *after)
{
    return before->readable && after->readable &&
           ((after->count_low && !before->count_low) || (after->final_try && !before->final_try) ||
            (after->locked && !before->locked));
}

bool pin_source_equal(const struct pin_source *a, const struct pin_source *b)
{
    return a->known && b->known && a->inode == b->inode && a->changed_s == b->changed_s &&
           a->changed_ns == b->changed_ns;
}

/* ---- values that failed ---- */

static void fill_hash(struct pin_failed *failed, const uint8_t *hash)
{
    if (hash != NULL && !failed->has_hash) {
        span_move(failed->hash, hash, PIN_RECORD_HASH);
        failed->has_hash = true;
    }
}

static void add_failed(struct pin_record *record, const struct pin_try *try)
{
    if (record->failed_n == PIN_RECORD_FAILED) {
        record->failed_n--;
        for (size_t i = 0; i < record->failed_n; i++) {
            record->failed[i] = record->failed[i + 1];
        }
    }
    struct pin_failed *failed = &record->failed[record->failed_n++];
    *failed = (struct pin_failed){.source = try->source};
    fill_hash(failed, try->hash);
}

/* ---- before the login ---- */

bool pin_record_is_proven(const struct pin_record *record, const struct pin_source *source)
{
    return pin_source_equal(&record->token.good, source);
}

bool pin_record_needs_hash(const struct pin_record *record, const struct pin_source *source)
{
    return record->failed_n > 0 && !pin_record_is_proven(record, source);
}

/* A hash that a kill left out is made up for here: the file is the same, so the value is. */
static enum pin_decision stop_failed(struct pin_record *record, const struct pin_try *try)
{
    enum pin_decision decision = PIN_TRY;
    for (size_t i = 0; i < record->failed_n; i++) {
        struct pin_failed *failed = &record->failed[i];
        if (pin_source_equal(&failed->source, &try->source)) {
            fill_hash(failed, try->hash);
            return PIN_STOP_FAILED;
        }
        if (!failed->has_hash || try->hash == NULL) {
            decision = PIN_STOP_FAILED_ANY;
        } else if (span_equal(span_of(failed->hash, PIN_RECORD_HASH),
                              span_of(try->hash, PIN_RECORD_HASH))) {
            return PIN_STOP_FAILED;
        }
    }
    return decision;
}

/*
 * A login that began and of whose end nothing is known. Where a token is known to tell of a wrong
 * PIN by its flags and they are clean, it was not wrong; elsewhere it may have been.
 */
static void count_cut(struct pin_token *token, const struct pin_flags *flags)
{
    if (token->pending && !(token->reports && is_clean(flags)) && token->cut < UINT32_MAX) {
        token->cut++;
    }
    token->pending = false;
}

/*
 * COUNT_LOW that a wrong value of this node explains does not stop another value: it is how a
 * corrected PIN gets its try. FINAL_TRY always does.
 */
static enum pin_decision stop_low(const struct pin_record *record, const struct pin_try *try,
                                  bool proven)
{
    const struct pin_token *token = &record->token;
    if (try->ordered || is_clean(&try->flags)) {
        return PIN_TRY;
    }
    if (proven) {
        return try->flags.final_try && token->cut > 0 ? PIN_STOP_FINAL : PIN_TRY;
    }
    bool explained = !try->flags.final_try && token->cut == 0 && record->failed_n > 0;
    return explained ? PIN_TRY : PIN_STOP_LOW;
}

static int64_t pause_s(const struct pin_token *token, bool proven)
{
    int64_t pause = 0;
    if (token->cut >= PIN_CUT_MAX) {
        unsigned doubled = token->cut - PIN_CUT_MAX < 6 ? token->cut - PIN_CUT_MAX : 6;
        pause = proven ? PIN_WAIT_S : (int64_t)PIN_WAIT_S << doubled;
    }
    if (token->errors > 0 && !proven) {
        int64_t after_errors = token->errors < PIN_ERRORS_MAX ? PIN_WAIT_S : PIN_WAIT_MAX_S;
        pause = after_errors > pause ? after_errors : pause;
    }
    return pause < PIN_WAIT_MAX_S ? pause : PIN_WAIT_MAX_S;
}

int64_t pin_record_wait_s(const struct pin_record *record, const struct pin_try *try)
{
    const struct pin_token *token = &record->token;
    if (try->now_s < token->last_s) {
        return 0;
    }
    bool proven = pin_record_is_proven(record, &try->source);
    int64_t left = token->last_s + pause_s(token, proven) - try->now_s;
    return left > 0 ? left : 0;
}

/* Tries without a verdict: where no PIN has ever succeeded, a wrong one may hide behind them. */
static enum pin_decision stop_unknown(const struct pin_record *record, const struct pin_try *try)
{
    const struct pin_token *token = &record->token;
    if (!token->known && token->cut >= PIN_CUT_MAX) {
        return PIN_STOP_CUT;
    }
    if (!token->known && token->errors >= PIN_ERRORS_MAX) {
        return PIN_STOP_ERRORS;
    }
    return pin_record_wait_s(record, try) > 0 ? PIN_STOP_WAIT : PIN_TRY;
}

static enum pin_decision decide(struct pin_record *record, const struct pin_try *try)
{
    bool proven = pin_record_is_proven(record, &try->source);
    bool odd_length = try->odd_length && !record->token.any_length;
    enum pin_decision decision = proven ? PIN_TRY : stop_failed(record, try);
    if (decision == PIN_TRY && !proven && record->failed_n == PIN_RECORD_FAILED) {
        decision = PIN_STOP_FULL;
    }
    if (decision == PIN_TRY) {
        decision = stop_low(record, try, proven);
    }
    if (decision == PIN_TRY && odd_length && !try->ordered && !proven) {
        decision = PIN_STOP_LENGTH;
    }
    return decision == PIN_TRY ? stop_unknown(record, try) : decision;
}

enum pin_decision pin_record_begin(struct pin_record *record, const struct pin_try *try)
{
    if (!try->flags.readable) {
        return PIN_STOP_UNREADABLE;
    }
    if (try->flags.locked) {
        return PIN_STOP_LOCKED;
    }
    count_cut(&record->token, &try->flags);
    enum pin_decision decision = decide(record, try);
    if (decision == PIN_TRY) {
        record->token.pending = true;
        record->token.last_s = try->now_s;
    }
    return decision;
}

/* ---- after it ---- */

/* No try is counted any more, by the token neither. */
static void note_good(struct pin_record *record, const struct pin_try *try)
{
    struct pin_token *token = &record->token;
    token->known = true;
    token->good = try->source;
    token->any_length = token->any_length || try->odd_length;
    token->cut = 0;
    token->errors = 0;
    record->failed_n = 0;
}

static void note_wrong(struct pin_record *record, const struct pin_try *try)
{
    if (pin_record_is_proven(record, &try->source)) {
        record->token.good = (struct pin_source){0};
    }
    /* What was cut before may have been another wrong value: only a success clears that. */
    add_failed(record, try);
}

/* The PIN may have been wrong all the same, except where the token would have told. */
static void note_error(struct pin_record *record, const struct pin_try *try,
                       const struct pin_flags *after)
{
    struct pin_token *token = &record->token;
    if (pin_record_is_proven(record, &try->source) || (token->reports && is_clean(after))) {
        return;
    }
    if (!is_clean(after)) {
        token->pending = true; /* as good as cut */
    } else if (token->errors < UINT32_MAX) {
        token->errors++;
    }
}

void pin_record_end(struct pin_record *record, const struct pin_try *try, enum pin_answer answer,
                    const struct pin_flags *after)
{
    record->token.pending = false;
    switch (answer) {
    case PIN_ANSWER_GOOD: note_good(record, try); break;
    case PIN_ANSWER_WRONG: note_wrong(record, try); break;
    case PIN_ANSWER_OTHER: note_error(record, try, after); break;
    case PIN_ANSWER_NONE: break;
    }
}

void pin_record_refused(struct pin_record *record, const struct pin_try *try,
                        const struct pin_flags *after)
{
    if (record->failed_n > 0) { /* the newest is the one */
        fill_hash(&record->failed[record->failed_n - 1], try->hash);
    }
    if (is_clean(&try->flags) && pin_flags_are_worse(&try->flags, after)) {
        record->token.reports = true;
    }
}
