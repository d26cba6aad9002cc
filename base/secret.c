#define _GNU_SOURCE
#include "base/secret.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/poison.h"
#include "base/secret_heap.h"
#include "base/secret_part.h"

const struct secret_budget secret_budget_front = {
    .amount = {[SECRET_SEED] = 4096,
               [SECRET_DERIVED] = 1024,
               [SECRET_2KIB] = 672,
               [SECRET_128KIB] = 8,
               [SECRET_NET] = 32,
               [SECRET_CRYPTO] = 1u << 20,
               [SECRET_PROTO] = 1u << 18},
};

const struct secret_budget secret_budget_token = {
    .amount = {[SECRET_2KIB] = 160, [SECRET_PIN] = 4, [SECRET_CRYPTO] = 1u << 20},
};

const struct secret_budget secret_budget_ctl = {
    .amount = {[SECRET_SEED] = 16,
               [SECRET_2KIB] = 64,
               [SECRET_PIN] = 4,
               [SECRET_CRYPTO] = 1u << 20,
               [SECRET_PROTO] = 1u << 16},
};

struct secret {
    uint8_t *ptr;
    size_t cap; /* what may be used of the block while it is taken */
    size_t len;
    uint32_t next_free; /* index + 1 of the next free block, 0 at the end */
    enum secret_part part;
    bool taken;
};

struct part {
    pthread_mutex_t lock;
    uint8_t *map; /* with its guard pages */
    size_t map_len;
    uint8_t *base;
    size_t size;
    struct secret *blocks; /* block parts only */
    size_t count;
    uint32_t free_head;
    size_t used;
    size_t peak;
    struct secret_heap heap; /* heap parts only */
};

static const size_t block_size[SECRET_PARTS] = {
    [SECRET_SEED] = 64,
    [SECRET_DERIVED] = 128,
    [SECRET_2KIB] = SECRET_2KIB_BYTES,
    [SECRET_128KIB] = SECRET_128KIB_BYTES,
    [SECRET_NET] = SECRET_NET_BYTES,
    [SECRET_PIN] = 1024,
};

static struct part parts[SECRET_PARTS];
static bool seeds_hidden;

static bool is_heap(enum secret_part part)
{
    return block_size[part] == 0;
}

static size_t round_to_pages(size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (len + page - 1) / page * page;
}

/* memfd_secret over the middle of the reserved range; false where the kernel has none to give. */
static bool map_hidden(uint8_t *base, size_t size)
{
#ifdef SYS_memfd_secret
    OWN_FD fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0) {
        return false;
    }
    void *got = mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    /* It is shared memory, which a forked child would go on seeing: it gets none of it. */
    return got != MAP_FAILED && madvise(base, size, MADV_DONTFORK) == 0;
#else
    (void)base;
    (void)size;
    return false;
#endif
}

static err_t map_locked(uint8_t *base, size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    if (mmap(base, size, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) {
        return FAIL_ERRNO("cannot map the secret arena");
    }
    if (mlock(base, size) != 0) {
        return FAIL_ERRNO("cannot lock memory for secrets (raise RLIMIT_MEMLOCK)");
    }
    if (madvise(base, size, MADV_DONTDUMP) != 0) {
        return FAIL_ERRNO("cannot exclude the secret arena from dumps");
    }
    if (madvise(base, size, MADV_WIPEONFORK) != 0) {
        return FAIL_ERRNO("cannot have the secret arena wiped on fork");
    }
    return OK;
}

/* Reserves the range with a guard page at each end, then puts usable memory into its middle. */
static err_t map_part(struct part *part, size_t size, bool hidden)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    part->size = round_to_pages(size);
    part->map_len = part->size + 2 * page;
    part->map = mmap(NULL, part->map_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (part->map == MAP_FAILED) {
        part->map = NULL;
        return FAIL_ERRNO("cannot reserve the secret arena");
    }
    part->base = part->map + page;
    if (hidden && map_hidden(part->base, part->size)) {
        seeds_hidden = true;
        memset(part->base, 0, part->size); /* touch it now: a later fault could fail */
        return OK;
    }
    return map_locked(part->base, part->size);
}

static err_t make_blocks(struct part *part, enum secret_part which, size_t count)
{
    part->blocks = calloc(count, sizeof(*part->blocks));
    if (part->blocks == NULL) {
        return FAIL_ERRNO("cannot allocate the books of the secret arena");
    }
    part->count = count;
    for (size_t i = 0; i < count; i++) {
        part->blocks[i] = (struct secret){
            .ptr = part->base + i * block_size[which],
            .part = which,
            .next_free = i + 1 < count ? (uint32_t)(i + 2) : 0,
        };
    }
    part->free_head = 1;
    POISON(part->base, part->size);
    return OK;
}

static size_t part_bytes(enum secret_part which, size_t amount)
{
    return is_heap(which) ? amount : amount * block_size[which];
}

static err_t make_part(enum secret_part which, size_t amount)
{
    struct part *part = &parts[which];
    *part = (struct part){.lock = PTHREAD_MUTEX_INITIALIZER};
    if (amount == 0) {
        return OK;
    }
    TRY(map_part(part, part_bytes(which, amount), which == SECRET_SEED));
    if (is_heap(which)) {
        return secret_heap_init(&part->heap, part->base, part->size);
    }
    return make_blocks(part, which, amount);
}

err_t secret_init(const struct secret_budget *budget)
{
    for (int which = 0; which < SECRET_PARTS; which++) {
        err_t err = make_part((enum secret_part)which, budget->amount[which]);
        if (failed(err)) {
            secret_done();
            return err;
        }
    }
    return OK;
}

size_t secret_budget_bytes(const struct secret_budget *budget)
{
    size_t sum = 0;
    for (int which = 0; which < SECRET_PARTS; which++) {
        sum += round_to_pages(part_bytes((enum secret_part)which, budget->amount[which]));
    }
    return sum;
}

void secret_done(void)
{
    for (int which = 0; which < SECRET_PARTS; which++) {
        struct part *part = &parts[which];
        secret_heap_done(&part->heap);
        free(part->blocks);
        if (part->map != NULL) {
            UNPOISON(part->base, part->size);
            (void)munmap(part->map, part->map_len);
        }
        *part = (struct part){.lock = PTHREAD_MUTEX_INITIALIZER};
    }
    seeds_hidden = false;
}

err_t secret_new(enum secret_part which, size_t cap, struct secret **ret_secret)
{
    struct part *part = &parts[which];
    if (is_heap(which) || cap > block_size[which]) {
        return FAIL(E_LIMIT, "larger than a block of this part of the secret arena");
    }
    (void)pthread_mutex_lock(&part->lock);
    struct secret *taken = part->free_head == 0 ? NULL : &part->blocks[part->free_head - 1];
    if (taken != NULL) {
        part->free_head = taken->next_free;
        part->used++;
        part->peak = part->used > part->peak ? part->used : part->peak;
    }
    (void)pthread_mutex_unlock(&part->lock);
    if (taken == NULL) {
        return FAIL(E_LIMIT, "this part of the secret arena is used up");
    }
    taken->taken = true;
    taken->cap = cap;
    taken->len = 0;
    UNPOISON(taken->ptr, cap);
    *ret_secret = taken;
    return OK;
}

void secret_free(struct secret *secret)
{
    if (secret == NULL) {
        return;
    }
    if (!secret->taken) {
        abort(); /* double free */
    }
    struct part *part = &parts[secret->part];
    UNPOISON(secret->ptr, block_size[secret->part]);
    secret_wipe(secret->ptr, block_size[secret->part]);
    POISON(secret->ptr, block_size[secret->part]);
    secret->taken = false;
    secret->cap = 0;
    secret->len = 0;
    (void)pthread_mutex_lock(&part->lock);
    secret->next_free = part->free_head;
    part->free_head = (uint32_t)(secret - part->blocks) + 1;
    part->used--;
    (void)pthread_mutex_unlock(&part->lock);
}

size_t secret_cap(const struct secret *secret)
{
    return secret->cap;
}

struct span secret_view(const struct secret *secret)
{
    return span_of(secret->ptr, secret->len);
}

struct span_mut secret_room(struct secret *secret)
{
    return span_mut_of(secret->ptr, secret->cap);
}

void secret_set_len(struct secret *secret, size_t len)
{
    if (len > secret->cap) {
        abort();
    }
    if (len < secret->len) {
        secret_wipe(secret->ptr + len, secret->len - len);
    }
    secret->len = len;
}

err_t secret_append(struct secret *secret, struct span bytes)
{
    if (bytes.len > secret->cap - secret->len) {
        return FAIL(E_LIMIT, "does not fit into its secret");
    }
    span_move(secret->ptr + secret->len, bytes.ptr, bytes.len);
    secret->len += bytes.len;
    return OK;
}

bool secret_equal(struct span a, struct span b)
{
    return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}

void *secret_alloc(enum secret_part which, size_t size)
{
    struct part *part = &parts[which];
    (void)pthread_mutex_lock(&part->lock);
    void *ptr = part->heap.base == NULL ? NULL : secret_heap_alloc(&part->heap, size);
    (void)pthread_mutex_unlock(&part->lock);
    return ptr;
}

void secret_release(enum secret_part which, void *ptr)
{
    if (ptr == NULL) {
        return;
    }
    struct part *part = &parts[which];
    (void)pthread_mutex_lock(&part->lock);
    secret_heap_free(&part->heap, ptr);
    (void)pthread_mutex_unlock(&part->lock);
}

bool secret_part_owns(enum secret_part which, const void *ptr)
{
    return secret_heap_owns(&parts[which].heap, ptr);
}

size_t secret_part_size(enum secret_part which, const void *ptr)
{
    return secret_heap_size(&parts[which].heap, ptr);
}

size_t secret_in_use(enum secret_part which)
{
    return is_heap(which) ? parts[which].heap.used : parts[which].used;
}

size_t secret_peak(enum secret_part which)
{
    return is_heap(which) ? parts[which].heap.peak : parts[which].peak;
}

size_t secret_locked_bytes(void)
{
    size_t sum = 0;
    for (int which = 0; which < SECRET_PARTS; which++) {
        sum += parts[which].size;
    }
    return sum;
}

bool secret_seeds_hidden(void)
{
    return seeds_hidden;
}

static bool block_is_zero(const struct secret *block)
{
    size_t size = block_size[block->part];
    bool zero = true;
    UNPOISON(block->ptr, size);
    for (size_t i = 0; i < size && zero; i++) {
        zero = block->ptr[i] == 0;
    }
    POISON(block->ptr, size);
    return zero;
}

static bool part_free_is_zero(const struct part *part)
{
    for (size_t i = 0; i < part->count; i++) {
        if (!part->blocks[i].taken && !block_is_zero(&part->blocks[i])) {
            return false;
        }
    }
    return part->heap.base == NULL || secret_heap_free_is_zero(&part->heap);
}

bool secret_free_space_is_zero(void)
{
    for (int which = 0; which < SECRET_PARTS; which++) {
        if (!part_free_is_zero(&parts[which])) {
            return false;
        }
    }
    return true;
}
