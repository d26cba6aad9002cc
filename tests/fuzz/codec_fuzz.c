/*
 * Byte 0: the method and the direction; the rest: a message. What parses must pack and parse to the
 * same.
 */
#include "proto/codec.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

static void must(bool promise)
{
    if (!promise) {
        abort();
    }
}

static void try_request(enum codec_method method, struct span bytes, struct secret *out)
{
    struct codec_request request = {0};
    if (failed(codec_unpack_request(method, bytes, &request))) {
        return;
    }
    must(request.key_id.len <= CODEC_TEXT_MAX && span_is_text(request.key_id));
    if (!failed(codec_pack_request(method, &request, out))) {
        struct codec_request again = {0};
        must(!failed(codec_unpack_request(method, secret_view(out), &again)));
        must(span_equal(request.payload, again.payload) && span_equal(request.uid, again.uid) &&
             span_equal(request.key_id, again.key_id) &&
             span_equal(request.version, again.version));
        codec_request_done(&again);
    }
    codec_request_done(&request);
}

static void try_response(enum codec_method method, struct span bytes, struct secret *out)
{
    struct codec_response response = {0};
    if (failed(codec_unpack_response(method, bytes, &response))) {
        return;
    }
    if (!failed(codec_pack_response(method, &response, out))) {
        struct codec_response again = {0};
        must(!failed(codec_unpack_response(method, secret_view(out), &again)));
        must(span_equal(response.payload, again.payload) &&
             span_equal(response.key_id, again.key_id) &&
             span_equal(response.healthz, again.healthz) &&
             span_equal(response.runtime_name, again.runtime_name));
        codec_response_done(&again);
    }
    codec_response_done(&response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    if (!ready) {
        must(!failed(secret_init(&secret_budget_front)));
        ready = true;
    }
    if (size < 1) {
        return 0;
    }
    enum codec_method method = (enum codec_method)(data[0] % CODEC_METHODS);
    struct span bytes = span_of(data + 1, size - 1);
    struct secret *out = NULL;
    must(!failed(secret_new(SECRET_2KIB, SECRET_2KIB_BYTES, &out)));
    if ((data[0] & 0x80) == 0) {
        try_request(method, bytes, out);
    } else {
        try_response(method, bytes, out);
    }
    secret_free(out);
    must(secret_in_use(SECRET_PROTO) == 0);
    return 0;
}
