#include "ctl/kms_client.h"

#include "base/clock.h"
#include "ctl/kms_session.h"

#define PREFIX_LEN 5u /* compressed flag, u32 length */

struct kms_client {
    struct kms_session *session;
    struct secret *request;
    struct secret *response;
};

err_t kms_client_open(const char *socket_name, int timeout_ms, struct kms_client **ret_client)
{
    CLEANUP(kms_client_close_p) struct kms_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return FAIL_ERRNO("out of memory for a client");
    }
    TRY(secret_new(SECRET_2KIB, KMS_CLIENT_BODY_MAX, &client->request));
    TRY(secret_new(SECRET_2KIB, KMS_CLIENT_BODY_MAX, &client->response));
    TRY(kms_session_open(socket_name, timeout_ms, &client->session));
    *ret_client = TAKE(client);
    return OK;
}

void kms_client_close(struct kms_client *client)
{
    if (client == NULL) {
        return;
    }
    kms_session_close(client->session);
    secret_free(client->request);
    secret_free(client->response);
    free(client);
}

static err_t write_body(struct kms_client *client, enum codec_method method,
                        const struct codec_request *request)
{
    uint8_t prefix[PREFIX_LEN] = {0};
    secret_set_len(client->request, 0);
    TRY(secret_append(client->request, span_of(prefix, sizeof(prefix))));
    TRY(codec_pack_request(method, request, client->request));
    struct writer w = writer_of(secret_room(client->request));
    writer_u8(&w, 0);
    writer_u32(&w, (uint32_t)(secret_view(client->request).len - PREFIX_LEN));
    return OK;
}

static err_t read_response(const struct kms_client *client, enum codec_method method,
                           const struct kms_heard *heard, struct kms_answer *answer)
{
    if (heard->http_status != 200 || heard->grpc_status == KMS_NO_STATUS || heard->overflow) {
        return FAIL(E_PROTOCOL, "the server's answer is not gRPC");
    }
    answer->grpc_status = heard->grpc_status;
    span_move(answer->message, heard->message, sizeof(answer->message));
    if (heard->grpc_status != 0) {
        return OK;
    }
    struct cursor c = cursor_of(secret_view(client->response));
    bool plain = cursor_u8(&c) == 0;
    uint32_t len = cursor_u32(&c);
    if (c.bad || !plain || len != c.rest.len) {
        return FAIL(E_PROTOCOL, "the server's answer is not one gRPC message");
    }
    return codec_unpack_response(method, c.rest, &answer->response);
}

err_t kms_client_call(struct kms_client *client, enum codec_method method,
                      const struct codec_request *request, int timeout_ms,
                      struct kms_answer *ret_answer)
{
    struct kms_answer answer = {0};
    struct kms_heard heard;
    int64_t start_us = clock_mono_us();
    TRY(write_body(client, method, request));
    TRY(kms_session_exchange(client->session, codec_path(method), secret_view(client->request),
                             timeout_ms, client->response, &heard));
    answer.took_us = clock_mono_us() - start_us;
    TRY(read_response(client, method, &heard, &answer));
    *ret_answer = answer;
    return OK;
}

void kms_answer_done(struct kms_answer *answer)
{
    codec_response_done(&answer->response);
    answer->response = (struct codec_response){0};
}
