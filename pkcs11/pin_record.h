/*
 * pin_record: the memory of the PIN guard. It keeps at most one answered-wrong attempt per PIN value and
 * node, whatever is killed when. Pure: bytes, a time and what the token says in; a decision and a changed
 * record out. Written before C_Login (an intent) and after it (what came of it).
 *
 *   none → intent1 → good | failed
 *   an intent1 left behind → intent2 (only with clean token flags) → good | failed
 *   an intent2 left behind stays, and stops the value as failed does
 *
 * States are kept per token serial and PIN value; the value as PBKDF2-HMAC-SHA256 with the record's salt.
 * Computing that costs a third of a second, so an intent on a record with nothing unresolved or failed is
 * written without it and the hash follows after the login. An intent left behind without hash counts for
 * any value, and a record that does not parse is one of those for any token.
 *
 * Text form: "p11-kms pin 1", "salt=<hex>", then per entry
 * "entry=<serial as hex or *> <state> <hash as hex or -> <once good 0|1> <restores> <last restore>".
 * No bytes at all = none. A record that is there and empty is an order to try once, whatever the token
 * counts: that is what `p11-kmsctl pin-retry` writes.
 */
#ifndef PKCS11_PIN_RECORD_H
#define PKCS11_PIN_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define PIN_RECORD_ENTRIES  32u
#define PIN_RECORD_BYTES    8192u /* the text form always fits */
#define PIN_RECORD_SALT     16u
#define PIN_RECORD_HASH     32u
#define PIN_RECORD_ROUNDS   600000
#define PIN_RECORD_SERIAL   16u
#define PIN_RESTORE_WAIT_S  60
#define PIN_RESTORES_MAX    5u

enum pin_state { PIN_NONE, PIN_INTENT1, PIN_INTENT2, PIN_GOOD, PIN_FAILED, PIN_STATES };

struct pin_entry {
    char serial[PIN_RECORD_SERIAL + 1]; /* "*": any token */
    enum pin_state state;
    bool has_hash;
    bool once_good;
    uint8_t hash[PIN_RECORD_HASH];
    uint32_t restores;  /* logins that ended in neither good nor failed, since the last good one */
    int64_t restored_s; /* Unix seconds of the last of them */
};

struct pin_record {
    bool has_salt;
    uint8_t salt[PIN_RECORD_SALT];
    size_t n;
    struct pin_entry entries[PIN_RECORD_ENTRIES];
};

/* What the token said about its user PIN just now. */
struct pin_flags {
    bool readable;
    bool locked;
    bool count_low;
    bool final_try;
};

enum pin_decision {
    PIN_TRY,           /* log in; the record holds the intent and must be stored first */
    PIN_STOP_FAILED,   /* this value was wrong before */
    PIN_STOP_CUT,      /* two logins with this value were cut short: nobody knows what the token said */
    PIN_STOP_ERRORS,   /* too many logins with this value ended in an error of the token */
    PIN_STOP_LOCKED,   /* the token says so */
    PIN_STOP_LOW,      /* few tries are left, and this value never succeeded here */
    PIN_STOP_FULL,     /* too many failed values are remembered */
    PIN_STOP_UNREADABLE, /* the token's flags cannot be read */
    PIN_STOP_WAIT      /* the last try came to nothing less than a minute ago */
};

enum pin_answer {
    PIN_ANSWER_GOOD,
    PIN_ANSWER_WRONG,
    PIN_ANSWER_OTHER, /* an error of the token */
    PIN_ANSWER_NONE   /* somebody is logged in already: the value was not looked at */
};

/* Never fails: what does not parse is an intent1 for any token and value. */
void pin_record_parse(struct span bytes, struct pin_record *ret_record);
MUST_USE err_t pin_record_write(const struct pin_record *record, struct span_mut room,
                                size_t *ret_len);

/* True when begin needs the hash of the value; else it takes NULL. */
bool pin_record_needs_hash(const struct pin_record *record, const char *serial,
                           const struct pin_flags *flags);
/*
 * May this value be tried? `ordered`: an operator ordered one try in spite of COUNT_LOW and FINAL_TRY.
 */
enum pin_decision pin_record_begin(struct pin_record *record, const char *serial,
                                   const uint8_t *hash, const struct pin_flags *flags,
                                   int64_t now_s, bool ordered);
/*
 * The login of a try without hash succeeded: takes back its intent at once, before the time that the hash
 * takes; pin_record_end follows. So a process killed meanwhile leaves no doubt behind.
 */
void pin_record_take_back(struct pin_record *record, const char *serial);
/* What came of the try that begin allowed. `flags` are read again after the login. */
void pin_record_end(struct pin_record *record, const char *serial,
                    const uint8_t hash[PIN_RECORD_HASH], enum pin_answer answer,
                    const struct pin_flags *flags, int64_t now_s);

#endif
