#define _GNU_SOURCE
#include "tests/unit/pkcs11/pin_node.h"

#include <string.h>

#include "tests/kit/unit.h"

struct node node_new(int right)
{
    return (struct node){.right = right, .flags = {.readable = true}, .now_s = NOW};
}

void hash_of(int value, uint8_t hash[PIN_RECORD_HASH])
{
    memset(hash, value, PIN_RECORD_HASH);
}

struct pin_source source_of(const struct node *node, int value)
{
    return (struct pin_source){
        .known = true, .inode = value, .changed_s = NOW - 1000 + node->rewritten, .changed_ns = 7};
}

void save(struct node *node, const struct pin_record *record)
{
    size_t len = 0;
    assert_ok(pin_record_write(record, SERIAL, span_mut_of(node->disk, sizeof(node->disk)), &len));
    node->disk_len = len;
}

static enum pin_answer login(struct node *node, int value)
{
    node->logins[value]++;
    if (node->outage || node->already) {
        return node->outage ? PIN_ANSWER_OTHER : PIN_ANSWER_NONE;
    }
    if (value == node->right) {
        /* The token forgets what was wrong before. */
        memset(node->logins, 0, sizeof(node->logins));
        memset(node->wrong_answers, 0, sizeof(node->wrong_answers));
        node->flags.count_low = false;
        return PIN_ANSWER_GOOD;
    }
    node->flags.count_low = node->flags.count_low || node->sets_count_low;
    return node->strange ? PIN_ANSWER_OTHER : PIN_ANSWER_WRONG;
}

/* As pin_login.c does after C_Login. */
static void conclude(struct node *node, struct pin_record *record, struct pin_try *try,
                     const uint8_t *hash, enum pin_answer answer, enum kill_point kill)
{
    if (answer == PIN_ANSWER_OTHER && pin_flags_are_worse(&try->flags, &node->flags)) {
        answer = PIN_ANSWER_WRONG;
    }
    pin_record_end(record, try, answer, &node->flags);
    save(node, record);
    if (answer == PIN_ANSWER_WRONG && kill != KILL_BEFORE_HASH) {
        try->hash = hash;
        pin_record_refused(record, try, &node->flags);
        save(node, record);
    }
}

enum pin_decision start(struct node *node, int value, enum kill_point kill)
{
    struct pin_record record;
    uint8_t hash[PIN_RECORD_HASH];
    struct pin_try try = {.source = source_of(node, value),
                          .flags = node->flags,
                          .odd_length = node->odd_length,
                          .ordered = node->ordered,
                          .now_s = node->now_s};
    hash_of(value, hash);
    pin_record_parse(span_of(node->disk, node->disk_len), SERIAL, &record);
    bool needs = pin_record_needs_hash(&record, &try.source);
    try.hash = needs ? hash : NULL;
    enum pin_decision decision = pin_record_begin(&record, &try);
    node->ordered = false;
    if (kill == KILL_BEFORE_INTENT) {
        return decision;
    }
    save(node, &record);
    if (decision != PIN_TRY || kill == KILL_BEFORE_LOGIN) {
        return decision;
    }
    enum pin_answer answer = login(node, value);
    node->wrong_answers[value] += answer == PIN_ANSWER_WRONG && kill != KILL_AFTER_LOGIN;
    if (kill != KILL_AFTER_LOGIN) {
        conclude(node, &record, &try, hash, answer, kill);
    }
    return decision;
}

struct node node_proven(bool sets_count_low)
{
    struct node node = node_new(A);
    node.sets_count_low = sets_count_low;
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    return node;
}

struct node node_that_tells(void)
{
    struct node node = node_new(A);
    node.sets_count_low = true;
    assert_int_equal(start(&node, B, KILL_NEVER), PIN_TRY);
    assert_int_equal(start(&node, A, KILL_NEVER), PIN_TRY);
    node.rewritten++;
    return node;
}

bool disk_has(const struct node *node, const char *text)
{
    return memmem(node->disk, node->disk_len, text, strlen(text)) != NULL;
}

bool disk_has_hash(const struct node *node, int value)
{
    char text[2 * PIN_RECORD_HASH + 1];
    for (unsigned i = 0; i < PIN_RECORD_HASH; i++) {
        text[2 * i] = '0';
        text[2 * i + 1] = (char)('0' + value);
    }
    text[sizeof(text) - 1] = '\0';
    return disk_has(node, text);
}
