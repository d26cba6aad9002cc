#include "proto/codec.h"

#include <string.h>

#include "tests/kit/unit.h"

static int setup(void **state)
{
    (void)state;
    return failed(secret_init(&secret_budget_front)) ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    bool clean = secret_in_use(SECRET_PROTO) == 0 && secret_in_use(SECRET_2KIB) == 0 &&
                 secret_in_use(SECRET_128KIB) == 0 && secret_free_space_is_zero();
    secret_done();
    return clean ? 0 : -1;
}

#define BYTES(literal_) span_of((literal_), sizeof(literal_) - 1)

static void assert_span(struct span got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr == NULL ? "" : (const char *)got.ptr, want, got.len);
}

static err_t unpack_once(enum codec_method method, struct span bytes)
{
    struct codec_request request = {0};
    err_t err = codec_unpack_request(method, bytes, &request);
    if (!failed(err)) {
        codec_request_done(&request);
    }
    return err;
}

static void test_unpack_request_of_no_bytes_is_an_empty_request(void **state)
{
    (void)state;
    for (int method = 0; method < CODEC_METHODS; method++) {
        struct codec_request request = {0};
        assert_ok(codec_unpack_request((enum codec_method)method, span_of(NULL, 0), &request));
        assert_int_equal(request.payload.len, 0);
        assert_int_equal(request.key_id.len, 0);
        codec_request_done(&request);
    }
}

static void test_unpack_request_reads_what_a_go_client_sends(void **state)
{
    (void)state;
    struct codec_request request = {0};
    assert_ok(codec_unpack_request(CODEC_V2_DECRYPT,
                                   BYTES("\x0a\x03"
                                         "abc"
                                         "\x12\x02"
                                         "u1"
                                         "\x1a\x02"
                                         "k1"
                                         "\x22\x08\x0a\x03"
                                         "a.b"
                                         "\x12\x01"
                                         "v"),
                                   &request));
    assert_span(request.payload, "abc");
    assert_span(request.uid, "u1");
    assert_span(request.key_id, "k1");
    codec_request_done(&request);
    assert_ok(
        codec_unpack_request(CODEC_V1_ENCRYPT, BYTES("\x0a\x07v1beta1\x12\x04ping"), &request));
    assert_span(request.version, "v1beta1");
    assert_span(request.payload, "ping");
    codec_request_done(&request);
}

static void test_unpack_request_doubled_field_takes_the_last(void **state)
{
    (void)state;
    struct codec_request request = {0};
    assert_ok(codec_unpack_request(CODEC_V2_ENCRYPT,
                                   BYTES("\x0a\x01"
                                         "a"
                                         "\x0a\x02"
                                         "bc"),
                                   &request));
    assert_span(request.payload, "bc");
    codec_request_done(&request);
}

static void test_unpack_request_unknown_fields_are_skipped(void **state)
{
    (void)state;
    struct codec_request request = {0};
    assert_ok(codec_unpack_request(CODEC_V2_ENCRYPT,
                                   BYTES("\x78\x01\x0a\x01"
                                         "a"
                                         "\x81\x01"
                                         "12345678"
                                         "\x7d"
                                         "1234"
                                         "\x7a\x01"
                                         "z"),
                                   &request));
    assert_span(request.payload, "a");
    codec_request_done(&request);
}

static void test_unpack_request_broken_encoding_is_a_protocol_error(void **state)
{
    (void)state;
    const struct span broken[] = {
        BYTES("\x0a"), /* no length */
        BYTES("\x0a\x05"
              "abc"),                                      /* truncated field */
        BYTES("\x08\x01"),                                 /* wrong wire type */
        BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), /* bad varint */
        BYTES("\x0a\xff\xff\xff\xff\x0f"),                 /* length of 4 GiB */
        BYTES("\x00\x01"
              "a"),        /* field number 0 */
        BYTES("\x0b\x0c"), /* group */
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        assert_fails(unpack_once(CODEC_V2_ENCRYPT, broken[i]), E_PROTOCOL);
    }
    assert_fails(unpack_once(CODEC_V2_DECRYPT, BYTES("\x22\x02\x0a\x05")), E_PROTOCOL);
}

static void test_unpack_request_strings_are_checked(void **state)
{
    (void)state;
    assert_fails(unpack_once(CODEC_V2_ENCRYPT, BYTES("\x12\x03"
                                                     "a\0b")),
                 E_INVALID);
    assert_fails(unpack_once(CODEC_V2_ENCRYPT, BYTES("\x12\x02\xc0\x80")), E_INVALID);
    assert_fails(unpack_once(CODEC_V2_ENCRYPT, BYTES("\x12\x03\xc3\n\xa9")), E_INVALID);
    assert_ok(unpack_once(CODEC_V2_ENCRYPT, BYTES("\x12\x06"
                                                  "a\nb\x7f\xc3\xa9")));
    assert_fails(unpack_once(CODEC_V2_DECRYPT, BYTES("\x1a\x02"
                                                     "k\n")),
                 E_INVALID);
    assert_fails(unpack_once(CODEC_V2_DECRYPT, BYTES("\x1a\x02"
                                                     "k\0")),
                 E_INVALID);
    assert_ok(unpack_once(CODEC_V1_VERSION, BYTES("\x0a\x02"
                                                  "\x01"
                                                  "x")));
}

/* A request of `key_id` bytes of key_id (up to 16383) and `uid` bytes of uid. */
static err_t unpack_sized(size_t key_id, size_t uid)
{
    static uint8_t text[16384];
    memset(text, 'k', sizeof(text));
    CLEANUP(secret_free_p) struct secret *out = NULL;
    assert_ok(secret_new(SECRET_128KIB, SECRET_128KIB_BYTES, &out));
    struct codec_request request = {.key_id = span_of(text, key_id), .uid = span_of(text, uid)};
    assert_ok(codec_pack_request(CODEC_V2_DECRYPT, &request, out));
    return unpack_once(CODEC_V2_DECRYPT, secret_view(out));
}

static void test_unpack_request_key_id_up_to_1024_bytes(void **state)
{
    (void)state;
    assert_ok(unpack_sized(CODEC_TEXT_MAX, 0));
    assert_fails(unpack_sized(CODEC_TEXT_MAX + 1, 0), E_INVALID);
    assert_ok(unpack_sized(1, 10240));
}

static void test_unpack_request_too_many_entries_is_a_limit(void **state)
{
    (void)state;
    static uint8_t bomb[60000];
    for (size_t i = 0; i + 1 < sizeof(bomb); i += 2) {
        bomb[i] = 0x22; /* an empty annotation */
    }
    assert_fails(unpack_once(CODEC_V2_DECRYPT, span_of(bomb, sizeof(bomb))), E_LIMIT);
    assert_int_equal(secret_in_use(SECRET_PROTO), 0);
    assert_ok(unpack_once(CODEC_V2_STATUS, span_of(NULL, 0)));
}

static void test_unpack_request_32_kib_of_annotations_fit(void **state)
{
    (void)state;
    static uint8_t bytes[33000];
    struct writer w = writer_of(span_mut_of(bytes, sizeof(bytes)));
    writer_bytes(&w, BYTES("\x22\x89\x80\x02\x0a\x03"
                           "a.b"
                           "\x12\x80\x80\x02"));
    (void)writer_room(&w, 32768);
    assert_false(w.bad);
    assert_ok(unpack_once(CODEC_V2_DECRYPT, writer_done(&w)));
}

static void test_pack_response_of_each_method_unpacks_to_the_same(void **state)
{
    (void)state;
    const struct codec_response full = {.version = BYTES("v2"),
                                        .healthz = BYTES("ok"),
                                        .key_id = BYTES("id"),
                                        .payload = BYTES("\0\1\2"),
                                        .runtime_name = BYTES("n"),
                                        .runtime_version = BYTES("1.0.0")};
    for (int method = 0; method < CODEC_METHODS; method++) {
        CLEANUP(secret_free_p) struct secret *out = NULL;
        assert_ok(secret_new(SECRET_2KIB, SECRET_2KIB_BYTES, &out));
        assert_ok(codec_pack_response((enum codec_method)method, &full, out));
        struct codec_response got = {0};
        assert_ok(codec_unpack_response((enum codec_method)method, secret_view(out), &got));
        bool has_payload = got.payload.len == 3 && span_equal(got.payload, full.payload);
        bool is_status = method == CODEC_V2_STATUS || method == CODEC_V1_VERSION;
        assert_int_equal(has_payload, !is_status);
        assert_int_equal(got.version.len, is_status ? 2 : 0);
        codec_response_done(&got);
    }
}

static void test_pack_response_appends_and_refuses_what_does_not_fit(void **state)
{
    (void)state;
    static const uint8_t payload[2048];
    CLEANUP(secret_free_p) struct secret *out = NULL;
    assert_ok(secret_new(SECRET_2KIB, SECRET_2KIB_BYTES, &out));
    assert_ok(secret_append(out, BYTES("head")));
    struct codec_response response = {.payload = span_of(payload, 2048 - 4 - 3)};
    assert_ok(codec_pack_response(CODEC_V2_DECRYPT, &response, out));
    assert_int_equal(secret_view(out).len, 2048);
    assert_memory_equal(secret_view(out).ptr, "head\x0a\xf9\x0f", 7);
    secret_set_len(out, 4);
    response.payload.len++;
    assert_fails(codec_pack_response(CODEC_V2_DECRYPT, &response, out), E_LIMIT);
    assert_int_equal(secret_view(out).len, 4);
}

static void test_unpack_response_of_a_newer_peer_skips_its_annotations(void **state)
{
    (void)state;
    struct codec_response response = {0};
    assert_ok(codec_unpack_response(CODEC_V2_ENCRYPT,
                                    BYTES("\x0a\x01"
                                          "c"
                                          "\x12\x01"
                                          "k"
                                          "\x1a\x05\x0a\x03"
                                          "a.b"),
                                    &response));
    assert_span(response.payload, "c");
    assert_span(response.key_id, "k");
    codec_response_done(&response);
    assert_fails(codec_unpack_response(CODEC_V2_STATUS, BYTES("\x1a\x01\xff"), &response),
                 E_INVALID);
}

static void test_path_names_each_method(void **state)
{
    (void)state;
    assert_string_equal(codec_path(CODEC_V2_STATUS), "/v2.KeyManagementService/Status");
    assert_string_equal(codec_path(CODEC_V1_DECRYPT), "/v1beta1.KeyManagementService/Decrypt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unpack_request_of_no_bytes_is_an_empty_request),
        cmocka_unit_test(test_unpack_request_reads_what_a_go_client_sends),
        cmocka_unit_test(test_unpack_request_doubled_field_takes_the_last),
        cmocka_unit_test(test_unpack_request_unknown_fields_are_skipped),
        cmocka_unit_test(test_unpack_request_broken_encoding_is_a_protocol_error),
        cmocka_unit_test(test_unpack_request_strings_are_checked),
        cmocka_unit_test(test_unpack_request_key_id_up_to_1024_bytes),
        cmocka_unit_test(test_unpack_request_too_many_entries_is_a_limit),
        cmocka_unit_test(test_unpack_request_32_kib_of_annotations_fit),
        cmocka_unit_test(test_pack_response_of_each_method_unpacks_to_the_same),
        cmocka_unit_test(test_pack_response_appends_and_refuses_what_does_not_fit),
        cmocka_unit_test(test_unpack_response_of_a_newer_peer_skips_its_annotations),
        cmocka_unit_test(test_path_names_each_method),
    };
    return cmocka_run_group_tests_name("proto/codec", tests, setup, teardown);
}
