/*
 * The client against a server that says what each test wrote down, byte for byte (RFC 9113, RFC
 * 7541).
 */
#define _GNU_SOURCE
#include "ctl/kms_client.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/secret.h"
#include "tests/kit/unit.h"

#define STREAM 1

static const struct secret_budget budget = {
    .amount = {[SECRET_2KIB] = 16, [SECRET_PROTO] = 1u << 16}};

static struct {
    char path[64];
    int listener;
    pthread_t thread;
    uint8_t script[8192];
    size_t len;
    bool silent; /* reads and never answers */
} server;

static void put(const void *bytes, size_t len)
{
    assert_true(server.len + len <= sizeof(server.script));
    span_move(server.script + server.len, bytes, len);
    server.len += len;
}

static void put_frame(uint8_t type, uint8_t flags, uint8_t stream, const void *payload, size_t len)
{
    const uint8_t head[9] = {0, (uint8_t)(len >> 8), (uint8_t)len, type, flags, 0, 0, 0, stream};
    put(head, sizeof(head));
    put(payload, len);
}

static void put_settings(void)
{
    put_frame(4, 0, 0, NULL, 0);
}

/* One literal header without indexing. */
static size_t literal(uint8_t *to, const char *name, const char *value)
{
    size_t n = 0;
    to[n++] = 0;
    to[n++] = (uint8_t)strlen(name);
    memcpy(to + n, name, strlen(name));
    n += strlen(name);
    to[n++] = (uint8_t)strlen(value);
    memcpy(to + n, value, strlen(value));
    return n + strlen(value);
}

static void put_response(const void *message, size_t len)
{
    static const uint8_t ok[] = {0x88}; /* :status 200 */
    uint8_t body[4096] = {0, 0, 0, (uint8_t)(len >> 8), (uint8_t)len};
    put_frame(1, 4, STREAM, ok, sizeof(ok));
    memcpy(body + 5, message, len);
    put_frame(0, 0, STREAM, body, len + 5);
}

static void put_trailers(const char *status, const char *message, bool alone)
{
    uint8_t block[256];
    size_t n = 0;
    if (alone) {
        block[n++] = 0x88;
    }
    n += literal(block + n, "grpc-status", status);
    n += literal(block + n, "grpc-message", message);
    put_frame(1, 5, STREAM, block, n);
}

static void *serve(void *arg)
{
    (void)arg;
    uint8_t sink[4096];
    int fd = accept(server.listener, NULL, NULL);
    struct pollfd quiet = {.fd = fd, .events = POLLIN};
    while (poll(&quiet, 1, 50) > 0 && recv(fd, sink, sizeof(sink), 0) > 0) {
    }
    if (!server.silent) {
        (void)send(fd, server.script, server.len, MSG_NOSIGNAL);
        (void)shutdown(fd, SHUT_WR);
    }
    while (recv(fd, sink, sizeof(sink), 0) > 0) {
    }
    (void)close(fd);
    return NULL;
}

static int setup(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memset(&server, 0, sizeof(server));
    (void)snprintf(server.path, sizeof(server.path), "@p11-kms-client-test-%d", (int)getpid());
    memcpy(address.sun_path + 1, server.path + 1, strlen(server.path + 1));
    server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(server.path));
    if (failed(secret_init(&budget)) ||
        bind(server.listener, (const struct sockaddr *)&address, len) != 0 ||
        listen(server.listener, 1) != 0) {
        return -1;
    }
    return pthread_create(&server.thread, NULL, serve, NULL);
}

static int teardown(void **state)
{
    (void)state;
    (void)pthread_join(server.thread, NULL);
    (void)close(server.listener);
    bool clean = secret_in_use(SECRET_2KIB) == 0 && secret_in_use(SECRET_PROTO) == 0 &&
                 secret_free_space_is_zero();
    secret_done();
    return clean ? 0 : -1;
}

static err_t status_call(int timeout_ms, struct kms_answer *ret_answer)
{
    CLEANUP(kms_client_close_p) struct kms_client *client = NULL;
    const struct codec_request request = {0};
    TRY(kms_client_open(server.path, 5000, &client));
    return kms_client_call(client, CODEC_V2_STATUS, &request, timeout_ms, ret_answer);
}

static void test_call_answer_is_unpacked(void **state)
{
    (void)state;
    static const char message[] = "\x0a\x02v2\x12\x02ok\x1a\x03kek";
    struct kms_answer answer;
    put_settings();
    put_response(message, sizeof(message) - 1);
    put_trailers("0", "", false);
    assert_ok(status_call(5000, &answer));
    assert_int_equal(answer.grpc_status, 0);
    assert_true(span_equal(answer.response.version, span_of_text("v2")));
    assert_true(span_equal(answer.response.healthz, span_of_text("ok")));
    assert_true(span_equal(answer.response.key_id, span_of_text("kek")));
    assert_true(answer.took_us > 0);
    kms_answer_done(&answer);
}

static void test_call_error_of_the_server_comes_with_its_text(void **state)
{
    (void)state;
    struct kms_answer answer;
    put_settings();
    put_trailers("14", "the token is gone", true);
    assert_ok(status_call(5000, &answer));
    assert_int_equal(answer.grpc_status, 14);
    assert_string_equal(answer.message, "the token is gone");
    kms_answer_done(&answer);
}

static void test_call_text_of_an_error_is_decoded_and_cannot_steer(void **state)
{
    (void)state;
    struct kms_answer answer;
    put_settings();
    put_trailers("14", "Z%C3%BCrich %e2%9c%93 100%25 %4 %zz %1b%FF%", true);
    assert_ok(status_call(5000, &answer));
    assert_string_equal(answer.message, "Z\xc3\xbcrich \xe2\x9c\x93 100% %4 %zz ??%");
    kms_answer_done(&answer);
}

static void test_call_header_with_a_control_character_is_dropped(void **state)
{
    (void)state;
    struct kms_answer answer;
    put_settings();
    put_trailers("14", "token \x1b gone", true);
    assert_ok(status_call(5000, &answer));
    assert_int_equal(answer.grpc_status, 14);
    assert_string_equal(answer.message, "");
}

static void test_call_no_answer_ends_at_the_timeout(void **state)
{
    (void)state;
    struct kms_answer answer;
    server.silent = true;
    assert_fails(status_call(100, &answer), E_DEADLINE);
}

static void test_call_closed_connection_is_unavailable(void **state)
{
    (void)state;
    struct kms_answer answer;
    put_settings();
    assert_fails(status_call(5000, &answer), E_UNAVAILABLE);
}

static void test_call_no_http2_is_refused(void **state)
{
    (void)state;
    struct kms_answer answer;
    put("HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    assert_int_not_equal(status_call(5000, &answer).code, E_NONE);
}

static void test_call_trailers_without_status_are_no_grpc(void **state)
{
    (void)state;
    struct kms_answer answer;
    put_settings();
    put_frame(1, 5, STREAM, "\x88", 1);
    assert_fails(status_call(5000, &answer), E_PROTOCOL);
}

static void test_call_status_that_is_no_number_is_no_grpc(void **state)
{
    (void)state;
    struct kms_answer answer;
    put_settings();
    put_trailers("0x0", "", true);
    assert_fails(status_call(5000, &answer), E_PROTOCOL);
}

static void test_call_empty_body_with_status_0_is_refused(void **state)
{
    (void)state;
    struct kms_answer answer;
    put_settings();
    put_trailers("0", "", true);
    assert_fails(status_call(5000, &answer), E_PROTOCOL);
}

static void test_call_body_beyond_the_arena_block_is_refused(void **state)
{
    (void)state;
    static const uint8_t big[2048];
    struct kms_answer answer;
    put_settings();
    put_response(big, sizeof(big));
    put_trailers("0", "", false);
    assert_fails(status_call(5000, &answer), E_PROTOCOL);
}

/* A Status answer behind a prefix that says `flag` and `said`, then a successful end. */
static void put_prefixed(uint8_t flag, uint8_t said)
{
    static const char message[] = "\x0a\x02v2\x12\x02ok\x1a\x03kek";
    uint8_t body[64] = {flag, 0, 0, 0, said};
    memcpy(body + 5, message, sizeof(message) - 1);
    put_frame(1, 4, STREAM, "\x88", 1);
    put_frame(0, 0, STREAM, body, 5 + sizeof(message) - 1);
}

static void test_call_compressed_body_is_refused(void **state)
{
    (void)state;
    struct kms_answer answer;
    put_settings();
    put_prefixed(1, 13);
    put_trailers("0", "", false);
    assert_fails(status_call(5000, &answer), E_PROTOCOL);
}

static void test_call_body_of_another_length_than_its_prefix_says_is_refused(void **state)
{
    (void)state;
    struct kms_answer answer;
    put_settings();
    put_prefixed(0, 0);
    put_trailers("0", "", false);
    assert_fails(status_call(5000, &answer), E_PROTOCOL);
}

/* Frames fill two reads of 2048 bytes, the first one with the help of a kind that nobody knows. */
static void test_call_body_whose_end_found_no_room_is_refused(void **state)
{
    (void)state;
    static const uint8_t more[2048 - 9];
    struct kms_answer answer;
    put_settings();
    put_frame(0x77, 0, 0, more, 2048 - 9 - 9 - 10 - 27);
    put_prefixed(0, 13);
    put_frame(0, 0, STREAM, more, sizeof(more));
    put_trailers("0", "", false);
    assert_fails(status_call(5000, &answer), E_PROTOCOL);
}

static void test_call_http_status_other_than_200_is_no_grpc(void **state)
{
    (void)state;
    struct kms_answer answer;
    uint8_t block[64] = {0x8d}; /* :status 404 */
    size_t n = 1 + literal(block + 1, "grpc-status", "14");
    put_settings();
    put_frame(1, 5, STREAM, block, n);
    assert_fails(status_call(5000, &answer), E_PROTOCOL);
}

static void test_open_nobody_listens(void **state)
{
    (void)state;
    struct kms_client *client = NULL;
    char path[CODEC_TEXT_MAX];
    assert_ok(secret_init(&budget));
    assert_fails(kms_client_open("/nowhere/kms.sock", 5000, &client), E_UNAVAILABLE);
    memset(path, 'a', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_fails(kms_client_open(path, 5000, &client), E_INVALID);
    assert_fails(kms_client_open("", 5000, &client), E_INVALID);
    secret_done();
}

static void test_open_socket_of_others_is_told_from_a_silent_one(void **state)
{
    (void)state;
    struct kms_client *client = NULL;
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/tmp/p11kms-client-XXXXXX"};
    int made = mkstemp(address.sun_path); /* only for its name */
    assert_int_equal(close(made), 0);
    assert_int_equal(unlink(address.sun_path), 0);
    OWN_FD listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(chmod(address.sun_path, 0), 0);
    assert_ok(secret_init(&budget));
    uid_t uid = geteuid();
    assert_int_equal(seteuid(uid == 0 ? 65534 : uid), 0);
    err_t err = kms_client_open(address.sun_path, 5000, &client);
    assert_int_equal(seteuid(uid), 0);
    assert_int_equal(unlink(address.sun_path), 0);
    secret_done();
    assert_int_equal(err.code, E_UNAVAILABLE);
    assert_non_null(strstr(err.what, "this user"));
}

/* As before a stopped daemon: connections lie in the kernel's queue and nobody takes them. */
static void test_open_full_queue_ends_at_the_timeout(void **state)
{
    (void)state;
    static const char name[] = "@p11-kms-client-full";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path + 1, name + 1, sizeof(name) - 2);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1);
    OWN_FD listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    OWN_FD first = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(connect(first, (const struct sockaddr *)&address, len), 0);
    struct kms_client *client = NULL;
    assert_ok(secret_init(&budget));
    (void)alarm(60); /* waiting for ever fails the test */
    assert_fails(kms_client_open(name, 100, &client), E_DEADLINE);
    (void)alarm(0);
    secret_done();
}

#define SERVED(test_) cmocka_unit_test_setup_teardown(test_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED(test_call_answer_is_unpacked),
        SERVED(test_call_error_of_the_server_comes_with_its_text),
        SERVED(test_call_text_of_an_error_is_decoded_and_cannot_steer),
        SERVED(test_call_header_with_a_control_character_is_dropped),
        SERVED(test_call_no_answer_ends_at_the_timeout),
        SERVED(test_call_closed_connection_is_unavailable),
        SERVED(test_call_no_http2_is_refused),
        SERVED(test_call_trailers_without_status_are_no_grpc),
        SERVED(test_call_status_that_is_no_number_is_no_grpc),
        SERVED(test_call_empty_body_with_status_0_is_refused),
        SERVED(test_call_body_beyond_the_arena_block_is_refused),
        SERVED(test_call_compressed_body_is_refused),
        SERVED(test_call_body_of_another_length_than_its_prefix_says_is_refused),
        SERVED(test_call_body_whose_end_found_no_room_is_refused),
        SERVED(test_call_http_status_other_than_200_is_no_grpc),
        cmocka_unit_test(test_open_socket_of_others_is_told_from_a_silent_one),
        cmocka_unit_test(test_open_nobody_listens),
        cmocka_unit_test(test_open_full_queue_ends_at_the_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
