/*
 * err: what can go wrong, as a value.
 *
 * err_t is returned by value and must be used. It holds a class, a string literal saying what
 * failed, the source line, and one number (errno or CK_RV). It cannot allocate, cannot fail and
 * cannot carry bytes of a request, so no secret can ride along in an error.
 *
 * Convention: results come last, named ret_x, and are untouched when the call fails.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <errno.h>
#include <stdbool.h>

enum err_code {
    E_NONE = 0,
    E_INVALID,     /* a field, an envelope or a setting that came from outside is wrong */
    E_CRYPTO,      /* does not authenticate: one class for every cryptographic mismatch */
    E_NOT_FOUND,   /* no such KEK, realm, token or file */
    E_LIMIT,       /* a bound of ours is reached: queue, arena, message size */
    E_UNAVAILABLE, /* the token cannot be reached now; later it may */
    E_DEADLINE,    /* the caller's time is up */
    E_DENIED,      /* this peer may not */
    E_STATE,       /* refused in this state (HARD), or a PIN is latched */
    E_UNSUPPORTED, /* not built, or an unknown method, version or encoding */
    E_PROTOCOL,    /* broken framing or encoding: HTTP/2, gRPC, protobuf, token frames */
    E_SYSTEM,      /* the operating system said no: detail is errno */
    E_TOKEN,       /* the PKCS#11 module said no: detail is the CK_RV */
    E_BUG          /* our own promise is broken */
};

typedef struct {
    enum err_code code;
    unsigned long detail; /* errno, CK_RV, or 0 */
    const char *what;     /* a literal; never text made at run time */
    const char *where;    /* file:line of FAIL */
} err_t;

#define MUST_USE __attribute__((warn_unused_result))

#define ERR_STRING_(x)  #x
#define ERR_STRING(x)   ERR_STRING_(x)
#define ERR_WHERE       __FILE__ ":" ERR_STRING(__LINE__)
#define OK              ((err_t){.code = E_NONE})

/* The "" on both sides makes a non-literal message a compile error. */
#define FAIL_DETAIL(code_, detail_, what_)                                                         \
    ((err_t){.code = (code_),                                                                      \
             .detail = (unsigned long)(detail_),                                                   \
             .what = "" what_ "",                                                                  \
             .where = ERR_WHERE})
#define FAIL(code_, what_)  FAIL_DETAIL(code_, 0, what_)
#define FAIL_ERRNO(what_)   FAIL_DETAIL(E_SYSTEM, errno, what_)

/* The only macro with control flow: leave with the error of the call, if it has one. */
#define TRY(call_)                                                                                 \
    do {                                                                                           \
        err_t try_err_ = (call_);                                                                  \
        if (failed(try_err_)) {                                                                    \
            return try_err_;                                                                       \
        }                                                                                          \
    } while (0)

static inline bool failed(err_t err)
{
    return err.code != E_NONE;
}

/* A word for the class, for logs: "invalid", "unavailable", ... Static storage. */
const char *err_code_name(enum err_code code);

#endif
