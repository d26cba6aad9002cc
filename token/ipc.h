/*
 * ipc: the frames between a client (front, p11-kmsctl) and the token process. SOCK_SEQPACKET, one
 * frame a packet, both ends of one build on one host: plain structs in host byte order. A frame
 * that is not exactly right ends the process that sent it.
 */
#ifndef TOKEN_IPC_H
#define TOKEN_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define IPC_MAGIC       0x70313174u
#define IPC_PAYLOAD_MAX 4096u

enum ipc_verb {
    IPC_HELLO = 1, /* both ways, first: build id text; a mismatch ends the role */
    /* struct ipc_list → one IPC_LIST frame per key (struct ipc_key), then IPC_LIST_END */
    IPC_LIST,
    IPC_LIST_END,  /* reply only: struct ipc_list_end */
    IPC_GENERATE,  /* struct ipc_generate → struct ipc_key of the new key */
    IPC_WRAP,      /* struct ipc_crypt + data → wrapped bytes (scheme 1: iv_len ‖ iv ‖ ct ‖ tag) */
    IPC_UNWRAP,    /* struct ipc_crypt + wrapped → the plaintext */
    IPC_RANDOM,    /* struct ipc_random → n bytes of the token's RNG */
    /* empty → struct ipc_status, at once: the ping; with call 0 said unasked, at a change */
    IPC_PROBE,
    IPC_VERBS
};

enum ipc_flag { IPC_REPLY = 1 };

/*
 * Outcome of a reply: which of the client's reactions fits. The CK_RV travels beside it for the
 * log.
 */
enum ipc_outcome {
    IPC_OK = 0,
    IPC_DATA,        /* this blob never opens: permanent */
    IPC_NO_KEY,      /* no such key on the token now */
    IPC_UNAVAILABLE, /* token gone, not logged in yet, no session, login refused: later it may */
    IPC_BUSY,        /* back-pressure of the module */
    IPC_REFUSED,     /* key or config fault, permanent: attribute, mechanism, template */
    IPC_EXPIRED,     /* the deadline passed before the module was called */
    IPC_NOTICE,      /* generate: less notice left than asked */
    IPC_LACKS        /* generate: the token lacks a mechanism: rv is its enum ipc_mechanism */
};

/* What a KEK needs: X(name, for people: which, and what for). */
#define IPC_MECHANISMS(X)                                                                          \
    X(AES_KEY_GEN, "CKM_AES_KEY_GEN, which makes a KEK on it")                                     \
    X(AES_GCM, "CKM_AES_GCM, with which a KEK wraps (scheme: aes-gcm)")                            \
    X(AES_CBC, "CKM_AES_CBC, by which a KEK is told from others")

enum ipc_mechanism {
    IPC_MECHANISM_NONE,
#define X(name_, words_) IPC_MECHANISM_##name_,
    IPC_MECHANISMS(X)
#undef X
    IPC_MECHANISMS_N
};

struct ipc_header {
    uint32_t magic;
    uint16_t verb;      /* enum ipc_verb */
    uint16_t flags;     /* enum ipc_flag */
    uint64_t call;      /* the client's number for the call; 0 in HELLO */
    uint32_t remaining_ms; /* of the call's time, at sending; 0 in replies */
    uint32_t outcome;   /* enum ipc_outcome; 0 in requests */
    uint64_t rv;        /* CK_RV in replies; see IPC_LACKS */
    uint32_t length;    /* bytes of payload that follow */
    uint32_t reserved;  /* 0 */
};

#define IPC_ID_MAX          64u
#define IPC_FINGERPRINT_MAX 32u
#define IPC_AAD_MAX         64u

/*
 * Names a key across handles, sessions and processes: its CKA_ID, what its value encrypts to, and
 * its scheme. Of these a kek_id is made.
 */
struct ipc_key_ref {
    uint8_t id_len; /* 1..IPC_ID_MAX */
    uint8_t fingerprint_len;
    uint8_t id[IPC_ID_MAX];
    uint8_t fingerprint[IPC_FINGERPRINT_MAX];
    uint8_t scheme; /* by which it wraps: keys/envelope.h; 0 while it is not known */
};

struct ipc_list {
    char ring[16];              /* keys of this ring are listed and fingerprinted */
    uint8_t all;                /* 1: KEKs of no ring too (an unknown kek_id is looked for) */
    uint8_t has_serving;
    struct ipc_key_ref serving; /* fingerprinted anew each time */
};

/*
 * Attribute verdicts, a bit each, set when the attribute is not as it must be. DESIGN: verdicts of
 * a KEK.
 */
enum ipc_attribute {
    IPC_ATTR_PRIVATE = 1 << 0,
    IPC_ATTR_SENSITIVE = 1 << 1,
    IPC_ATTR_ALWAYS_SENSITIVE = 1 << 2,
    IPC_ATTR_NEVER_EXTRACTABLE = 1 << 3,
    IPC_ATTR_LOCAL = 1 << 4,
    IPC_ATTR_ENCRYPT = 1 << 5,
    IPC_ATTR_DECRYPT = 1 << 6,
    IPC_ATTR_EXTRACTABLE = 1 << 7,
    IPC_ATTR_SIGN = 1 << 8,
    IPC_ATTR_VERIFY = 1 << 9,
    IPC_ATTR_WRAP = 1 << 10,
    IPC_ATTR_UNWRAP = 1 << 11,
    IPC_ATTR_DERIVE = 1 << 12,
    IPC_ATTR_AAD = 1 << 13,   /* a wrap opened with another AAD: the token does not bind it */
    IPC_ATTR_VALUE = 1 << 14, /* not an AES-256 key */
    IPC_ATTR_MODIFIABLE = 1 << 15 /* reported only, never a fault */
};
#define IPC_ATTR_REPORTED_ONLY IPC_ATTR_MODIFIABLE
/* How the cryptography works is no question of policy: no waiver covers these. */
#define IPC_ATTR_NEVER_WAIVED (IPC_ATTR_AAD | IPC_ATTR_VALUE | IPC_ATTR_ENCRYPT | IPC_ATTR_DECRYPT)

enum ipc_key_state {
    IPC_KEY_READ,       /* attributes and fingerprint are known */
    /* an attribute or the fingerprint ended in an error: rv says which; 0: it lied */
    IPC_KEY_UNREADABLE,
    IPC_KEY_NO_ID       /* CKA_ID empty or longer than IPC_ID_MAX: refused */
};

/* What places a key in a ring. */
enum ipc_activated_by {
    IPC_BY_NOTHING,      /* no ring knows it: not ours, or its label could not be read */
    IPC_BY_BROKEN_LABEL, /* its label names the ring, and no times that can be read */
    IPC_BY_LABEL
};

/* From when on a key of a ring may seal; one key may have several. */
struct ipc_activation {
    uint32_t by;         /* enum ipc_activated_by */
    uint32_t not_before; /* Unix seconds, as created; 0 unless the key is placed */
    uint32_t created;
    char ring[16];       /* "" when nothing names one */
};

/* A row of a listing: one activation of one key. */
struct ipc_key {
    struct ipc_key_ref ref; /* fingerprint_len 0 while it is not known */
    char label[64];         /* CKA_LABEL as span_to_text shows and cuts it */
    char serial[17];        /* of the token */
    char token[33];         /* label of the token */
    struct ipc_activation activation;
    uint32_t state;         /* enum ipc_key_state */
    uint32_t bad;           /* enum ipc_attribute bits */
    uint32_t not_reported;  /* bits of attributes that the token does not know */
    uint64_t rv;            /* CK_RV of what could not be read */
};

struct ipc_list_end {
    uint32_t count; /* frames sent before this one */
};

#define IPC_GENERATE_MAX_S 1800u /* of limit_s: as long as start_timeout may be */

struct ipc_generate {
    char ring[16];
    uint8_t id[16];       /* CKA_ID, chosen by the caller; searched before generating */
    uint32_t not_before;  /* 0: now (the first KEK, or --now with nothing selected later) */
    uint32_t min_notice_s; /* refuse when not_before - now is less */
    uint32_t limit_s;     /* the HSM may take so long to make it; 0: as long as any other call */
    uint32_t floor_s;     /* the earliest not-before that is allowed when not_before is 0 */
    /* the earliest `created`, by which the key ranks above the others; 0: any */
    uint32_t created_s;
    uint8_t scheme;       /* by which the KEK is to wrap: keys/envelope.h */
};

struct ipc_crypt {
    struct ipc_key_ref key;
    uint8_t aad_len;
    uint16_t data_len;
    uint8_t aad[IPC_AAD_MAX];
    /* data follows */
};

struct ipc_random {
    uint32_t n; /* 1..256 */
};

enum ipc_phase {
    IPC_PHASE_STARTING, /* loading, initialising, logging in */
    IPC_PHASE_NO_MODULE, /* the module cannot be loaded or initialised now */
    IPC_PHASE_NO_TOKEN, /* no token matches; text lists those that are there */
    IPC_PHASE_PIN,      /* PIN refused or latched; text says what to mend */
    IPC_PHASE_CONFIG,   /* the URI or the IV mode does not fit this token; text says what */
    IPC_PHASE_READY     /* logged in, sessions open */
};

struct ipc_status {
    uint32_t phase; /* enum ipc_phase */
    uint32_t logins; /* C_Login calls of this process */
    /* C_ calls that reached the token for wrap, unwrap and random, for the bench */
    uint64_t calls;
    char text[400];  /* the mend, one sentence, no secret; empty when ready */
    char token[33];
    char serial[17];
    char model[17];
    char manufacturer[33];
};

/*
 * Sends one frame (payload up to IPC_PAYLOAD_MAX), not blocking. E_UNAVAILABLE: would block.
 * E_SYSTEM: gone. header->length is filled in.
 */
MUST_USE err_t ipc_send(int fd, struct ipc_header *header, struct span payload);
/*
 * Receives one frame into room (in the arena when it may hold a seed). Not blocking: E_UNAVAILABLE
 * when none. E_NOT_FOUND: peer closed. E_PROTOCOL: wrong magic, verb, length.
 */
MUST_USE err_t ipc_receive(int fd, struct ipc_header *ret_header, struct span_mut room,
                           struct span *ret_payload);

/*
 * A status as it came. E_PROTOCOL: another size, an unknown phase, a text without end. What remains
 * is safe to show and to put into a protobuf string: its texts are as span_to_text shows them.
 */
MUST_USE err_t ipc_status_read(struct span payload, struct ipc_status *ret_status);

/* Not even its label could be read: it may be any key. */
bool ipc_key_unnamed(const struct ipc_key *key);
/* Something names this ring for it, be it broken. */
bool ipc_key_of_ring(const struct ipc_key *key, const char *ring);

/* Of an enum ipc_mechanism, or whatever a reply holds in its place. */
const char *ipc_mechanism_words(uint64_t mechanism);

/* The word for a bit of enum ipc_attribute: "CKA_EXTRACTABLE", ... */
const char *ipc_attribute_name(uint32_t bit);

/* "CKA_LOCAL, CKA_SIGN": names of the bits, cut to the room. */
void ipc_attribute_names(uint32_t bits, char *ret_text, size_t size);

#endif
