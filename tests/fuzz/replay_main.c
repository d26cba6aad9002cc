/*
 * replay: runs a fuzz target over a folder of seeds without a fuzzer: each seed, each of its
 * truncations at a stride, and a fixed number of seeded random mutations. The same input, the same
 * run.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "tests/fuzz/fuzz.h"

#define SEED_MAX  (256u * 1024)
#define MUTATIONS 2000u

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

static size_t mutate(uint8_t *bytes, size_t len, size_t room)
{
    unsigned edits = 1 + next_random() % 4;
    for (unsigned i = 0; i < edits && len > 0; i++) {
        size_t at = next_random() % len;
        switch (next_random() % 4) {
        case 0:
            bytes[at] ^= (uint8_t)(1u << (next_random() % 8));
            break;
        case 1:
            bytes[at] = (uint8_t)next_random();
            break;
        case 2:
            memmove(bytes + at, bytes + at + 1, len - at - 1);
            len--;
            break;
        default:
            if (len < room) {
                memmove(bytes + at + 1, bytes + at, len - at);
                len++;
            }
            break;
        }
    }
    return len;
}

/* A copy of exactly that length, so that a sanitizer sees one byte past the end. */
static void run_exact(const uint8_t *bytes, size_t len)
{
    uint8_t *exact = malloc(len == 0 ? 1 : len);
    if (exact == NULL) {
        abort();
    }
    memcpy(exact, bytes, len);
    (void)LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

static void run_seed(const uint8_t *seed, size_t len)
{
    static uint8_t work[SEED_MAX + 8];
    run_exact(seed, len);
    size_t stride = 1 + len / 512;
    for (size_t cut = 0; cut < len; cut += stride) {
        run_exact(seed, cut);
    }
    size_t mutations = len > 4096 ? MUTATIONS / 10 : MUTATIONS;
    for (size_t i = 0; i < mutations; i++) {
        memcpy(work, seed, len);
        run_exact(work, mutate(work, len, sizeof(work)));
    }
}

static int run_file(const char *folder, const char *name)
{
    static uint8_t seed[SEED_MAX];
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    OWN_FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    run_seed(seed, fread(seed, 1, sizeof(seed), file));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    DIR *folder = opendir(argv[1]);
    if (folder == NULL) {
        perror(argv[1]);
        return 1;
    }
    int failures = 0;
    int seeds = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] != '.') {
            failures += run_file(argv[1], entry->d_name);
            seeds++;
        }
    }
    (void)closedir(folder);
    (void)printf("%d seeds replayed with their mutations\n", seeds);
    return failures != 0 || seeds == 0;
}
