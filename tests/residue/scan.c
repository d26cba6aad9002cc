/*
 * scan PID: looks for secrets in every readable mapping of a process, as root. Patterns come on
 * stdin as 32-byte records; a hit is 16 bytes of any aligned half of one, at any address. Prints
 * one line a hit: <start of mapping> <locked and undumpable: 1 or 0> <index of the record>
 * <mapping's name> and at the end "scanned <bytes> unreadable <bytes>". The search: a table over
 * the first 8 bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD     32u
#define HALF       16u
#define BUCKETS    (1u << 20)
#define CHUNK      (1u << 20)
#define LINE_BYTES 1024u

static uint8_t *records;
static size_t records_n;
static uint32_t *next_of;
static uint32_t table[BUCKETS]; /* index of a half plus one */

static uint32_t bucket_of(const uint8_t *bytes)
{
    uint64_t word = 0;
    memcpy(&word, bytes, sizeof(word));
    return (uint32_t)((word * 0x9e3779b97f4a7c15u) >> 44);
}

static bool read_records(void)
{
    size_t room = 4096 * RECORD;
    size_t len = 0;
    records = malloc(room);
    while (records != NULL) {
        size_t n = fread(records + len, 1, room - len, stdin);
        len += n;
        if (n == 0) {
            break;
        }
        if (len == room) {
            room *= 2;
            records = realloc(records, room);
        }
    }
    records_n = len / RECORD;
    next_of = calloc(records_n * 2 + 1, sizeof(*next_of));
    if (records == NULL || next_of == NULL || len % RECORD != 0) {
        return false;
    }
    for (uint32_t half = 0; half < records_n * 2; half++) {
        uint32_t bucket = bucket_of(records + (size_t)half * HALF);
        next_of[half] = table[bucket];
        table[bucket] = half + 1;
    }
    return true;
}

struct mapping {
    uint64_t start;
    uint64_t end;
    bool readable;
    bool locked;
    char name[256];
};

/* The next mapping of smaps; false at its end. */
static bool next_mapping(FILE *smaps, struct mapping *map)
{
    char line[LINE_BYTES];
    bool have = false;
    while (fgets(line, sizeof(line), smaps) != NULL) {
        char perms[8];
        int at = 0;
        uint64_t start = 0;
        uint64_t end = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %*s %*s %*s %n", &start, &end, perms, &at) ==
            3) {
            have = true;
            map->start = start;
            map->end = end;
            map->readable = perms[0] == 'r';
            map->name[0] = '\0';
            (void)sscanf(line + at, "%255s", map->name);
        }
        if (strncmp(line, "VmFlags:", 8) == 0 && have) {
            map->locked = strstr(line, " lo") != NULL && strstr(line, " dd") != NULL;
            return true;
        }
    }
    return false;
}

static void look(const struct mapping *map, const uint8_t *bytes, size_t n)
{
    for (size_t at = 0; at + HALF <= n; at++) {
        for (uint32_t half = table[bucket_of(bytes + at)]; half != 0; half = next_of[half - 1]) {
            if (memcmp(records + (size_t)(half - 1) * HALF, bytes + at, HALF) == 0) {
                printf("%" PRIx64 " %d %u %s\n", map->start, map->locked ? 1 : 0, (half - 1) / 2,
                       map->name[0] != '\0' ? map->name : "anonymous");
            }
        }
    }
}

/* Returns the bytes that could be read; chunks overlap by less than a half. */
static uint64_t scan_mapping(int mem, const struct mapping *map, uint8_t *chunk)
{
    uint64_t seen = 0;
    for (uint64_t at = map->start; at < map->end; at += CHUNK) {
        uint64_t want = map->end - at < CHUNK + HALF - 1 ? map->end - at : CHUNK + HALF - 1;
        ssize_t got = pread(mem, chunk, want, (off_t)at);
        if (got > 0) {
            look(map, chunk, (size_t)got);
            seen += (uint64_t)got;
        }
    }
    return seen;
}

int main(int argc, char **argv)
{
    char path[64];
    if (argc != 2 || !read_records()) {
        fprintf(stderr, "usage: scan PID <records of %u bytes\n", RECORD);
        return 2;
    }
    snprintf(path, sizeof(path), "/proc/%s/mem", argv[1]);
    int mem = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/%s/smaps", argv[1]);
    FILE *smaps = fopen(path, "re");
    uint8_t *chunk = malloc(CHUNK + HALF);
    if (mem < 0 || smaps == NULL || chunk == NULL) {
        fprintf(stderr, "scan: %s: %s\n", path, strerror(errno));
        return 1;
    }
    struct mapping map;
    uint64_t scanned = 0;
    uint64_t unreadable = 0;
    while (next_mapping(smaps, &map)) {
        uint64_t seen = map.readable ? scan_mapping(mem, &map, chunk) : 0;
        scanned += seen;
        unreadable += seen == 0 ? map.end - map.start : 0;
    }
    printf("scanned %" PRIu64 " unreadable %" PRIu64 "\n", scanned, unreadable);
    return 0;
}
