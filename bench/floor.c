/*
 * floor SOCKET WHAT: the least that a call can cost. A blocking ping-pong server on a unix socket
 * that moves as many bytes as the daemon does (sizes.h) and, for Encrypt and Decrypt, calls the
 * same code of keys/seal; no HTTP/2, no gRPC, no protobuf, no event loop. One client, as many
 * requests in a read as came.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/span.h"
#include "bench/sizes.h"
#include "keys/seal.h"

#define ROOM (1u << 18)

struct work {
    struct seal *seal;
    struct envelope_head head;
    uint8_t wrapped[61];
    struct secret *seed;
    struct secret *plain;
    struct secret *derived;
    uint8_t sealed[ENVELOPE_MAX];
    size_t sealed_len;
    struct envelope envelope;
};

static struct work work = {
    .head = {.suite = ENVELOPE_SEED,
             .scheme = ENVELOPE_AES_GCM,
             .api = ENVELOPE_V2,
             .activation = 1,
             .born = 1},
    .wrapped = {12},
};
static uint8_t in[ROOM];
static uint8_t out[ROOM];

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static void must(err_t err)
{
    if (failed(err)) {
        fprintf(stderr, "floor: %s\n", err.what);
        exit(1);
    }
}

static void make(void)
{
    const struct seal_seed seed = {.head = &work.head,
                                   .wrapped = span_of(work.wrapped, sizeof(work.wrapped)),
                                   .seed = secret_view(work.seed)};
    uint8_t dek[BENCH_DEK] = {0};
    must(seal_make(work.seal, &seed, ENVELOPE_V2, span_of(dek, sizeof(dek)),
                   span_mut_of(work.sealed, sizeof(work.sealed)), &work.sealed_len));
}

static void derive(void)
{
    must(seal_derive(work.seal, &work.envelope, secret_view(work.seed), secret_room(work.derived)));
    secret_set_len(work.derived, SEAL_DERIVED_LEN);
}

static void open_one(void)
{
    size_t len = 0;
    must(seal_open(work.seal, &work.envelope, secret_view(work.derived), secret_room(work.plain),
                   &len));
}

static void prepare(void)
{
    must(secret_init(&secret_budget_front));
    must(secret_serve_crypto(false));
    must(seal_new(&work.seal));
    must(secret_new(SECRET_SEED, SEED_LEN, &work.seed));
    must(secret_new(SECRET_2KIB, ENVELOPE_MAX, &work.plain));
    must(secret_new(SECRET_DERIVED, SEAL_DERIVED_LEN, &work.derived));
    secret_set_len(work.seed, SEED_LEN);
    make();
    static uint8_t kept[ENVELOPE_MAX];
    span_move(kept, work.sealed, work.sealed_len);
    must(envelope_parse(span_of(kept, work.sealed_len), &work.envelope));
    derive();
}

static void work_once(uint8_t op)
{
    if (op == 'e') {
        make();
    } else if (op == 'd') {
        derive();
        open_one();
    } else if (op == 'k') {
        open_one();
    }
}

static bool put(int fd, size_t n)
{
    for (size_t left = n; left > 0;) {
        ssize_t written = write(fd, out, left);
        if (written <= 0) {
            return false;
        }
        left -= (size_t)written;
    }
    return true;
}

static void serve(int fd, const struct raw_size *size)
{
    size_t at = 0;
    size_t have = 0;
    ssize_t n = 0;
    while ((n = read(fd, in + have, sizeof(in) - have)) > 0) {
        have += (size_t)n;
        size_t calls = (have - at) / size->request;
        for (size_t i = 0; i < calls; i++) {
            work_once(in[at]);
            at += size->request;
        }
        if (!put(fd, calls * size->reply)) {
            return;
        }
        if (at >= have - at) { /* the rest, shorter than a request, goes to the front */
            span_move(in, in + at, have - at);
            have -= at;
            at = 0;
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct raw_size *size = argc == 3 ? raw_size_of(argv[2]) : NULL;
    if (size == NULL || strlen(argv[1]) >= sizeof(address.sun_path)) {
        fprintf(stderr, "usage: floor SOCKET WHAT\n");
        return 2;
    }
    prepare();
    span_move(address.sun_path, argv[1], strlen(argv[1]));
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 8) != 0) {
        die(argv[1]);
    }
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            die("accept");
        }
        serve(fd, size);
        (void)close(fd);
    }
}
