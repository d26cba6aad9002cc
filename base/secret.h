/*
 * secret: the locked arena, and the only owner of bytes that nobody may see: seeds, derived keys,
 * DEKs, PINs, and every buffer they pass through.
 *
 * The arena is mapped once at start, locked, excluded from dumps, wiped in a forked child, with
 * guard pages at both ends of each part; seeds lie in memfd_secret memory where the kernel has it
 * (a forked child has no such memory at all). If any step fails the program does not start, and
 * nothing turns that off. Each part has its own budget: a part that is used up refuses the request
 * (E_LIMIT) and touches nobody else. ASan builds poison whatever is not handed out.
 *
 * The budget of the front, 4.4 MiB in all so that the default RLIMIT_MEMLOCK of 8 MiB holds:
 *
 *   part            block     blocks            what sleeps there
 *   SECRET_SEED       64 B     4096   256 KiB   seeds (32 B used)
 *   SECRET_DERIVED   128 B     1024   128 KiB   the LRU of derived keys
 *   SECRET_2KIB      2 KiB      672   1.3 MiB   whatever fits and has no part of its own: bodies
 *                                               of 640 calls, payloads for the token
 *   SECRET_128KIB  128 KiB        8     1 MiB   what is longer: bodies above 2 KiB
 *   SECRET_NET      16 KiB       32   512 KiB   receive buffer, output buffers
 *   SECRET_PIN       1 KiB        4     4 KiB   PINs
 *   SECRET_CRYPTO   heap                1 MiB   everything libcrypto allocates
 *   SECRET_PROTO    heap              256 KiB   protobuf-c's unpacked messages
 *
 * A struct secret takes a block and has the capacity that was asked for, fixed at birth: in an ASan
 * build a byte past it is an error, also within the block. Free wipes the block. It has no text
 * form and no copy to plain memory. Thread safe: each part has its own lock.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/secret_wipe.h"
#include "base/span.h"

enum secret_part {
    SECRET_SEED,
    SECRET_DERIVED,
    SECRET_2KIB,
    SECRET_128KIB,
    SECRET_NET,
    SECRET_PIN,
    SECRET_CRYPTO,
    SECRET_PROTO,
    SECRET_PARTS
};

/* Bytes of a block, for those who want a whole one. */
#define SECRET_2KIB_BYTES   (2u * 1024)
#define SECRET_128KIB_BYTES (128u * 1024)
#define SECRET_NET_BYTES    (16u * 1024)

/*
 * Blocks of each block part, bytes of each heap part (a power of two); 0 = the program has no such
 * part.
 */
struct secret_budget {
    size_t amount[SECRET_PARTS];
};

extern const struct secret_budget secret_budget_front;
extern const struct secret_budget secret_budget_token;
extern const struct secret_budget secret_budget_ctl;

struct secret;

/*
 * Maps and locks the arena. Once, before any thread; E_SYSTEM with errno when memory cannot be
 * mapped or locked (then raise RLIMIT_MEMLOCK, LimitMEMLOCK= in the unit).
 */
MUST_USE err_t secret_init(const struct secret_budget *budget);

/* What secret_init locks for this budget, in bytes: the least that RLIMIT_MEMLOCK must be. */
size_t secret_budget_bytes(const struct secret_budget *budget);

/* Unmaps everything; every secret must have been freed. For tests and the end of a program. */
void secret_done(void);

/*
 * Makes libcrypto allocate from SECRET_CRYPTO. Before libcrypto's first allocation, E_BUG after it.
 * Used up, it fails that allocation; with `overflow` (the token process, whose vendor module may
 * share our libcrypto) it goes on in ordinary memory that is wiped on free.
 */
MUST_USE err_t secret_serve_crypto(bool overflow);

/* A secret of `cap` bytes, length 0, all zero. E_LIMIT: part used up or cap above its block. */
MUST_USE err_t secret_new(enum secret_part which, size_t cap, struct secret **ret_secret);
/* Wipes the whole block and returns it. NULL is fine. */
void secret_free(struct secret *secret);
DEFINE_CLEANUP(struct secret *, secret_free)

size_t secret_cap(const struct secret *secret);
/* The bytes in use; valid until the next call that changes this secret. */
struct span secret_view(const struct secret *secret);
/* The whole capacity, for a producer to write into; then say how much with secret_set_len. */
struct span_mut secret_room(struct secret *secret);
/* len <= capacity, else the program aborts. Bytes past len are wiped. */
void secret_set_len(struct secret *secret, size_t len);
/* Appends; E_LIMIT and nothing changed when it does not fit. */
MUST_USE err_t secret_append(struct secret *secret, struct span bytes);

/* Constant time in the contents (CRYPTO_memcmp); the lengths are public. */
bool secret_equal(struct span a, struct span b);

/* Raw allocation in a heap part, for the allocator hooks of libraries. NULL when used up. */
void *secret_alloc(enum secret_part which, size_t size);
/* Wipes and returns it. NULL is fine. */
void secret_release(enum secret_part which, void *ptr);

/* Blocks (or bytes of a heap part) handed out now. At teardown and after each test it is 0. */
size_t secret_in_use(enum secret_part which);
/* Most handed out at any time since start. */
size_t secret_peak(enum secret_part which);
/* Bytes locked in all, guard pages left out. */
size_t secret_locked_bytes(void);
/* True when seeds lie in memfd_secret memory. */
bool secret_seeds_hidden(void);
/* True when every byte that is not handed out is zero: the test of the wipes. */
bool secret_free_space_is_zero(void);

#endif
