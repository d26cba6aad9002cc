/*
 * pin_node: the PIN guard as a node runs it: a record on disk that survives kills, and a token that
 * counts what it is asked. A "start" runs the whole order of things and may be killed between any
 * two steps.
 */
#ifndef TESTS_UNIT_PKCS11_PIN_NODE_H
#define TESTS_UNIT_PKCS11_PIN_NODE_H

#include "pkcs11/pin_record.h"

#define SERIAL "0123456789abcdef"
#define NOW    1800000000

enum { A = 1, B = 2, C = 3 };

enum kill_point {
    KILL_NEVER,
    KILL_BEFORE_INTENT,
    KILL_BEFORE_LOGIN,
    KILL_AFTER_LOGIN,
    KILL_BEFORE_HASH,
    KILL_POINTS
};

struct node {
    uint8_t disk[PIN_RECORD_BYTES];
    size_t disk_len;
    int right;               /* the value that the token takes */
    unsigned wrong_answers[4]; /* per value: answered wrong and heard by this node */
    unsigned logins[4];      /* per value: C_Login calls since the last success */
    /* C_Login ends in CKR_DEVICE_ERROR, before the token has looked at the PIN */
    bool outage;
    bool strange;            /* a wrong PIN ends in CKR_DEVICE_ERROR too */
    bool already;            /* C_Login ends in CKR_USER_ALREADY_LOGGED_IN */
    struct pin_flags flags;
    bool sets_count_low;     /* as SoftHSM does */
    bool ordered;
    bool odd_length;
    /* the file of the PIN was written so often without a change of value */
    int64_t rewritten;
    int64_t now_s;
};

struct node node_new(int right);
/* On this node A has logged in before, and its file is unchanged. */
struct node node_proven(bool sets_count_low);
/*
 * This one has seen its token count a wrong PIN, and A has succeeded since; its file was written
 * anew.
 */
struct node node_that_tells(void);
/* Returns the decision; after PIN_TRY node->logins says what was done. */
enum pin_decision start(struct node *node, int value, enum kill_point kill);

void hash_of(int value, uint8_t hash[PIN_RECORD_HASH]);
struct pin_source source_of(const struct node *node, int value);
void save(struct node *node, const struct pin_record *record);
bool disk_has(const struct node *node, const char *text);
bool disk_has_hash(const struct node *node, int value);

#endif
