/*
 * load SOCKET WHAT CALLS WINDOW: a lean load client. One connection, one thread, WINDOW calls under
 * way. WHAT: status, encrypt, decrypt (KMS v2 over HTTP/2, frames made once and copied with a new
 * stream id), or raw-status, raw-encrypt, raw-decrypt: the floor's ping-pong of the same sizes
 * (floor.c). Prints "calls seconds p50_us p99_us"; the two latencies mean a call's own only with
 * WINDOW 1.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/span.h"
#include "bench/request.h"
#include "bench/sizes.h"

#define STREAM_AT 5u
#define IN_MAX    (1u << 18)
#define IN_SPARE  (1u << 15) /* more than a frame */
#define CIPHERS   64u        /* different ciphertexts that are decrypted in turn */
#define SETTINGS  4u
#define PING      6u
#define GOAWAY    7u
#define ACK       1u

struct load {
    int fd;
    uint32_t stream;
    struct text requests[CIPHERS];
    size_t requests_n;
    size_t sent;
    size_t done;
    size_t with_data;
    uint8_t in[IN_MAX];
    size_t in_at;
    size_t in_len;
    uint8_t out[1u << 20];
    size_t out_len;
    struct text message; /* the last message received, for making Decrypts */
};

static struct load load = {.stream = 1};

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static void flush_out(void)
{
    for (size_t at = 0; at < load.out_len;) {
        ssize_t n = write(load.fd, load.out + at, load.out_len - at);
        if (n <= 0) {
            die("write");
        }
        at += (size_t)n;
    }
    load.out_len = 0;
}

static void put(const void *bytes, size_t n)
{
    if (load.out_len + n > sizeof(load.out)) {
        flush_out();
    }
    span_move(load.out + load.out_len, bytes, n);
    load.out_len += n;
}

/* Copies the next request with its stream id in both frames. */
static void put_call(void)
{
    struct text *request = &load.requests[load.sent % load.requests_n];
    uint32_t id = htonl(load.stream);
    size_t headers = ((size_t)request->bytes[1] << 8 | request->bytes[2]) + FRAME;
    span_move(request->bytes + STREAM_AT, &id, sizeof(id));
    span_move(request->bytes + headers + STREAM_AT, &id, sizeof(id));
    put(request->bytes, request->len);
    load.stream += 2;
    load.sent++;
}

static void on_frame(const uint8_t *frame, size_t length)
{
    unsigned type = frame[3];
    unsigned flags = frame[4];
    if (type == DATA && length > 0) {
        load.with_data++;
        load.message.len = 0;
        text_add(&load.message, frame + FRAME, length);
    }
    if ((type == DATA || type == HEADERS) && (flags & END_STREAM) != 0) {
        load.done++;
    }
    if ((type == SETTINGS || type == PING) && (flags & ACK) == 0) {
        struct text ack = {.len = 0};
        text_add_frame(&ack, type == PING ? length : 0, type, ACK);
        text_add(&ack, frame + FRAME, type == PING ? length : 0);
        put(ack.bytes, ack.len);
    }
    if (type == GOAWAY) {
        fprintf(stderr, "load: the server says GOAWAY\n");
        exit(1);
    }
}

/* What is left of an incomplete frame goes to the front when the room behind it gets short. */
static void make_room(void)
{
    if (sizeof(load.in) - load.in_len < IN_SPARE) {
        span_move(load.in, load.in + load.in_at, load.in_len - load.in_at);
        load.in_len -= load.in_at;
        load.in_at = 0;
    }
}

static void receive(void)
{
    make_room();
    ssize_t n = read(load.fd, load.in + load.in_len, sizeof(load.in) - load.in_len);
    if (n <= 0) {
        die("read");
    }
    load.in_len += (size_t)n;
    while (load.in_len - load.in_at >= FRAME) {
        const uint8_t *frame = load.in + load.in_at;
        size_t length = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
        if (load.in_len - load.in_at < FRAME + length) {
            break;
        }
        on_frame(frame, length);
        load.in_at += FRAME + length;
    }
}

static void call_once(void)
{
    size_t done = load.done;
    put_call();
    flush_out();
    while (load.done == done) {
        receive();
    }
    if (load.with_data != load.done) {
        fprintf(stderr, "load: a call ended in an error\n");
        exit(1);
    }
}

/*
 * One Encrypt each; its answer {1: ciphertext, 2: key_id} is, field by field, what Decrypt takes as
 * 1 and 3.
 */
static void make_decrypts(const struct text *encrypt)
{
    static struct text made[CIPHERS];
    load.requests[0] = *encrypt;
    load.requests_n = 1;
    for (size_t i = 0; i < CIPHERS; i++) {
        call_once();
        const uint8_t *answer = load.message.bytes + 5;
        size_t cipher_len = answer[1] & 127u;
        size_t head = 2;
        if (answer[1] > 127) {
            cipher_len |= (size_t)answer[2] << 7;
            head = 3;
        }
        const uint8_t *key_id = answer + head + cipher_len;
        struct text body = {.len = 0};
        text_add_field(&body, 1, answer + head, cipher_len);
        text_add_field(&body, 2, BENCH_UID, strlen(BENCH_UID));
        text_add_field(&body, 3, key_id + 2, key_id[1]);
        text_make_request(&made[i], "/v2.KeyManagementService/Decrypt", &body);
    }
    span_move(load.requests, made, sizeof(made));
    load.requests_n = CIPHERS;
}

static void prepare(const char *what)
{
    struct text body = {.len = 0};
    if (strcmp(what, "status") == 0) {
        text_make_request(&load.requests[0], "/v2.KeyManagementService/Status", &body);
        load.requests_n = 1;
        return;
    }
    uint8_t dek[BENCH_DEK];
    memset(dek, 0x5a, sizeof(dek));
    text_add_field(&body, 1, dek, sizeof(dek));
    text_add_field(&body, 2, BENCH_UID, strlen(BENCH_UID));
    struct text encrypt;
    text_make_request(&encrypt, "/v2.KeyManagementService/Encrypt", &body);
    load.requests[0] = encrypt;
    load.requests_n = 1;
    if (strcmp(what, "decrypt") == 0) {
        make_decrypts(&encrypt);
    }
}

static void greet(void)
{
    struct text hello = {.len = 0};
    static const uint8_t window[4] = {0x7f, 0xff, 0, 0};
    text_add(&hello, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    text_add_frame(&hello, 0, SETTINGS, 0);
    text_add_frame(&hello, sizeof(window), 8, 0);
    text_add(&hello, window, sizeof(window));
    put(hello.bytes, hello.len);
    flush_out();
    receive();
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
        die("socket");
    }
    span_move(address.sun_path, path, strlen(path));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        die(path);
    }
    return fd;
}

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run_window(size_t calls, size_t window)
{
    size_t done = load.done;
    size_t goal = done + calls;
    size_t left = calls;
    for (; left > 0 && calls - left < window; left--) {
        put_call();
    }
    while (load.done < goal) {
        flush_out();
        receive();
        for (; done < load.done; done++) {
            if (left > 0) {
                put_call();
                left--;
            }
        }
    }
}

static void run_single(size_t calls, double *ret_times)
{
    for (size_t i = 0; i < calls; i++) {
        double start = now_s();
        call_once();
        ret_times[i] = now_s() - start;
    }
    qsort(ret_times, calls, sizeof(*ret_times), by_size);
}

static void run_raw(const struct raw_size *size, size_t calls, size_t window, double *ret_times)
{
    size_t sent = 0;
    size_t received = 0;
    uint8_t op[BENCH_RAW_MAX] = {size->op};
    while (received < calls * size->reply) {
        double start = now_s();
        size_t done = received / size->reply;
        for (; sent < calls && sent - done < window; sent++) {
            put(op, size->request);
        }
        flush_out();
        ssize_t n = read(load.fd, load.in, window == 1 ? size->reply : sizeof(load.in));
        if (n <= 0) {
            die("read");
        }
        received += (size_t)n;
        if (window == 1) {
            ret_times[done] = now_s() - start;
        }
    }
    qsort(ret_times, calls, sizeof(*ret_times), by_size);
}

static long number(const char *text)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    return *end == '\0' ? value : 0;
}

int main(int argc, char **argv)
{
    if (argc != 5 || number(argv[3]) <= 0 || number(argv[4]) <= 0) {
        fprintf(stderr, "usage: load SOCKET WHAT CALLS WINDOW\n");
        return 2;
    }
    size_t calls = (size_t)number(argv[3]);
    size_t window = (size_t)number(argv[4]);
    double *times = calloc(calls, sizeof(*times));
    if (times == NULL) {
        die("calloc");
    }
    load.fd = connect_to(argv[1]);
    const struct raw_size *raw = raw_size_of(argv[2]);
    if (raw == NULL) {
        greet();
        prepare(argv[2]);
    }
    double start = now_s();
    if (raw != NULL) {
        run_raw(raw, calls, window, times);
    } else if (window == 1) {
        run_single(calls, times);
    } else {
        run_window(calls, window);
    }
    double took = now_s() - start;
    if (load.with_data != load.done) {
        fprintf(stderr, "load: %zu calls ended in an error\n", load.done - load.with_data);
        return 1;
    }
    printf("%zu %.6f %.1f %.1f\n", calls, took, times[calls / 2] * 1e6,
           times[calls * 99 / 100] * 1e6);
    return 0;
}
