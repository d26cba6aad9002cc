/*
 * pin_record: the memory of the PIN guard about one token. A PIN value that the token refused is
 * not sent again, whatever is killed when; a PIN that is good needs no command because of logins
 * that were cut short or ended in an error. Pure: bytes, a time and what the token says in; a
 * decision and a changed record out. Written before C_Login (pending) and after it (what came of
 * it). The rules are drawn up in docs/decisions.md, "What the PIN record remembers".
 *
 *   pending → good | failed | an error | a cut (found pending by the next start)
 *
 * Nothing in it lets a good PIN be tested: the PIN that succeeded is known by the file it came
 * from, not by its value. Values that were refused are kept as PBKDF2-HMAC-SHA256 with the record's
 * salt, until a login succeeds. That a value failed is written first, and its hash, which takes a
 * third of a second, after: meanwhile it is known by its file, too, and stops every other file.
 *
 * Text form: "p11-kms pin 2", "salt=<hex>", then lines
 *   "token=<serial as hex or *> <reports> <known> <any length> <pending> <cut> <errors> <last> "
 *         "<source of the good PIN>"
 *   "failed=<serial as hex> <hash as hex or -> <source>"
 * with flags as 0 or 1 and a source as "<inode>.<seconds>.<nanoseconds>" or "-". An earlier build
 * wrote the lines of all its tokens into one file; "*" stands for each that has no line of its own.
 * Form 1 ("entry=…") is read; the hashes of good values in it are dropped. No bytes at all =
 * nothing known. A record that is there and empty is an order to try once, whatever the token
 * counts: that is what `p11-kmsctl pin-retry` writes.
 */
#ifndef PKCS11_PIN_RECORD_H
#define PKCS11_PIN_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define PIN_RECORD_FAILED 24u
#define PIN_RECORD_BYTES  8192u /* the text form always fits */
#define PIN_RECORD_SALT   16u
#define PIN_RECORD_HASH   32u
#define PIN_RECORD_SERIAL 16u

/* So many are tried again soon; more after pauses, or by order where no PIN ever succeeded. */
#define PIN_CUT_MAX    2u
#define PIN_ERRORS_MAX 5u
#define PIN_WAIT_S     60 /* the shortest pause; that after cuts doubles */
#define PIN_WAIT_MAX_S 3600

/*
 * Which file a PIN came from, and in which state of it: any write, replacement or chmod makes
 * another.
 */
struct pin_source {
    bool known;
    int64_t inode;
    int64_t changed_s; /* st_ctim */
    int64_t changed_ns;
};

struct pin_token {
    bool reports;    /* seen: COUNT_LOW or its like comes with a wrong PIN */
    bool known;      /* a PIN succeeded, from this node */
    bool any_length; /* seen: takes a PIN outside of the lengths it states */
    bool pending;    /* a login was begun, and nothing is known of its end */
    uint32_t cut;    /* logins since the last success whose lost answer may have been "wrong" */
    /* those that ended in an error of the token, and the PIN may have been wrong */
    uint32_t errors;
    int64_t last_s;  /* Unix seconds: the last login was begun */
    struct pin_source good; /* of the PIN that succeeded last */
};

struct pin_failed {
    bool has_hash;
    uint8_t hash[PIN_RECORD_HASH];
    struct pin_source source;
};

struct pin_record {
    bool has_salt;
    uint8_t salt[PIN_RECORD_SALT];
    struct pin_token token;
    size_t failed_n;
    struct pin_failed failed[PIN_RECORD_FAILED];
};

/* What the token said about its user PIN just now. */
struct pin_flags {
    bool readable;
    bool locked;
    bool count_low;
    bool final_try;
};

/* A PIN that is to be tried. */
struct pin_try {
    struct pin_source source;
    const uint8_t *hash; /* of the value; NULL when it is not computed */
    struct pin_flags flags; /* just before */
    bool odd_length; /* outside of what the token says that it takes */
    bool ordered;    /* an operator ordered one try in spite of COUNT_LOW and FINAL_TRY */
    int64_t now_s;
};

enum pin_decision {
    PIN_TRY,             /* log in; the record holds that, and must be stored first */
    PIN_STOP_FAILED,     /* this value was wrong before */
    PIN_STOP_FAILED_ANY, /* a value was wrong before, and it is not known which */
    /* two logins were cut short, no PIN succeeded here yet, no sign is given */
    PIN_STOP_CUT,
    PIN_STOP_ERRORS,     /* the same with five errors of the token */
    PIN_STOP_LOCKED,     /* the token says so */
    PIN_STOP_LOW,        /* the token counts wrong PINs, and this one has not succeeded here */
    PIN_STOP_FINAL,      /* one try is left, and the last login was cut short */
    PIN_STOP_LENGTH,     /* the token says that it takes no PIN of this length */
    PIN_STOP_FULL,       /* too many failed values are remembered */
    PIN_STOP_UNREADABLE, /* the token's flags cannot be read */
    PIN_STOP_WAIT        /* not before pin_record_wait_s */
};

enum pin_answer {
    PIN_ANSWER_GOOD,
    PIN_ANSWER_WRONG,
    PIN_ANSWER_OTHER, /* an error of the token, and no sign that the PIN was wrong */
    PIN_ANSWER_NONE   /* somebody is logged in already: the value was not looked at */
};

/*
 * Takes what concerns this token; its serial has PIN_RECORD_SERIAL bytes at most. Never fails: what
 * does not parse is one cut login.
 */
void pin_record_parse(struct span bytes, const char *serial, struct pin_record *ret_record);
/* E_LIMIT: the room is shorter than PIN_RECORD_BYTES, and too short. */
MUST_USE err_t pin_record_write(const struct pin_record *record, const char *serial,
                                struct span_mut room, size_t *ret_len);

bool pin_source_equal(const struct pin_source *a, const struct pin_source *b);
/* The PIN of this file, as it is now, succeeded last. */
bool pin_record_is_proven(const struct pin_record *record, const struct pin_source *source);
/* True when begin needs the hash of the value. */
bool pin_record_needs_hash(const struct pin_record *record, const struct pin_source *source);
/* May this value be tried? */
enum pin_decision pin_record_begin(struct pin_record *record, const struct pin_try *try);
/* Seconds until begin would no longer say PIN_STOP_WAIT. */
int64_t pin_record_wait_s(const struct pin_record *record, const struct pin_try *try);
/*
 * A sign of a wrong PIN, whatever C_Login answered: the token began to count, to warn or to lock.
 */
bool pin_flags_are_worse(const struct pin_flags *before, const struct pin_flags *after);
/* What came of the try that begin allowed. `after`: the flags; read only for PIN_ANSWER_OTHER. */
void pin_record_end(struct pin_record *record, const struct pin_try *try, enum pin_answer answer,
                    const struct pin_flags *after);
/*
 * Follows PIN_ANSWER_WRONG: which value it was (try->hash), and that the token told it by its
 * flags.
 */
void pin_record_refused(struct pin_record *record, const struct pin_try *try,
                        const struct pin_flags *after);

#endif
