#include "server/grpc/call.h"

#include <string.h>

#include "base/log.h"
#include "server/grpc/methods.h"
#include "server/grpc/timeout.h"
#include "server/kms/service.h"


void grpc_call_init(struct grpc_call *call, struct service *service, struct ticket ticket)
{
    /* field by field: the text is large, and each call passes here */
    call->state = GRPC_HEADERS;
    call->service = service;
    call->ticket = ticket;
    call->deadline_ms = INT64_MAX;
    call->is_post = false;
    call->is_grpc = false;
    call->refusal = OK;
    call->tell_encodings = false;
    call->has_method = false;
    call->timeout_ms = -1;
    call->authority = SERVICE_AUTHORITY_OTHER;
    call->frame = (struct grpc_frame){0};
    call->request = NULL;
    call->http_status = "200";
    call->status = GRPC_OK;
    call->reply = NULL;
    call->sent = 0;
    call->text_len = 0;
}

static void drop_request(struct grpc_call *call)
{
    secret_free(call->request);
    call->request = NULL;
}

void grpc_call_done(struct grpc_call *call)
{
    if (call->state == GRPC_WAITING) {
        service_cancel(call->service, call->ticket);
    }
    drop_request(call);
    secret_free(call->reply);
    call->reply = NULL;
    call->state = GRPC_ANSWERED;
}

static void answer_error(struct grpc_call *call, err_t err, const char *text)
{
    struct writer w = writer_of(span_mut_of(call->text, sizeof(call->text)));
    grpc_status_encode(span_of_text(GRPC_TEXT_PREFIX), &w);
    grpc_status_encode(span_of_text(text), &w);
    call->text_len = w.len;
    call->status = grpc_status_of(err.code);
    call->state = GRPC_ANSWERED;
    drop_request(call);
}

static void answer_http(struct grpc_call *call, const char *http_status)
{
    call->http_status = http_status;
    call->state = GRPC_ANSWERED;
}

void grpc_call_refuse(struct grpc_call *call, err_t err)
{
    if (call->state == GRPC_ANSWERED) {
        return;
    }
    if (call->state == GRPC_WAITING) {
        service_cancel(call->service, call->ticket);
    }
    log_event(EVENT_CALL_REFUSED, LOG_ERR(err));
    answer_error(call, err, err.what);
}

bool grpc_call_is_status(const struct grpc_call *call)
{
    return call->state == GRPC_BODY && call->method == CODEC_V2_STATUS;
}

static void keep_first(struct grpc_call *call, err_t err)
{
    if (!failed(call->refusal)) {
        call->refusal = err;
    }
}

static void on_method(struct grpc_call *call, struct span value)
{
    call->is_post = span_equal(value, span_of_text("POST"));
}

static void on_path(struct grpc_call *call, struct span value)
{
    err_t err = grpc_method_find(value, &call->method);
    call->has_method = !failed(err);
    keep_first(call, err);
}

static void on_authority(struct grpc_call *call, struct span value)
{
    uint8_t first = value.len > 0 ? value.ptr[0] : 0;
    call->authority = first == '/'   ? SERVICE_AUTHORITY_PATH
                      : first == '@' ? SERVICE_AUTHORITY_ABSTRACT
                                     : SERVICE_AUTHORITY_OTHER;
}

static void on_content_type(struct grpc_call *call, struct span value)
{
    struct span type = span_of_text("application/grpc");
    bool begins = span_equal(span_part(value, 0, type.len), type);
    call->is_grpc = begins && (value.len == type.len || value.ptr[type.len] == '+' ||
                               value.ptr[type.len] == ';');
}

static void on_encoding(struct grpc_call *call, struct span value)
{
    if (!span_equal(value, span_of_text("identity"))) {
        call->tell_encodings = true;
        keep_first(call, FAIL(E_UNSUPPORTED, "compressed messages are not supported"));
    }
}

static void on_timeout(struct grpc_call *call, struct span value)
{
    keep_first(call, grpc_timeout_parse(value, &call->timeout_ms));
}

void grpc_call_header(struct grpc_call *call, struct span name, struct span value)
{
    static const struct {
        const char *name;
        size_t len;
        void (*on)(struct grpc_call *call, struct span value);
    } known[] = {
        {":method", 7, on_method},          {":path", 5, on_path},
        {":authority", 10, on_authority},   {"content-type", 12, on_content_type},
        {"grpc-encoding", 13, on_encoding}, {"grpc-timeout", 12, on_timeout},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (span_equal(name, span_of(known[i].name, known[i].len))) {
            known[i].on(call, value);
            return;
        }
    }
}

void grpc_call_headers_end(struct grpc_call *call, int64_t now_ms)
{
    if (!call->is_post) {
        answer_http(call, "405");
    } else if (!call->is_grpc) {
        answer_http(call, "415");
    } else if (failed(call->refusal)) {
        grpc_call_refuse(call, call->refusal);
    } else {
        call->deadline_ms = call->timeout_ms < 0 ? INT64_MAX : now_ms + call->timeout_ms;
        call->state = GRPC_BODY;
    }
}

static err_t take_part(struct grpc_call *call, enum grpc_frame_event event, struct span part)
{
    if (event == GRPC_FRAME_BYTES) {
        return secret_append(call->request, part);
    }
    size_t len = call->frame.length;
    if (len == 0) {
        return OK; /* Status asks for nothing, so it is answered even when no slot is free */
    }
    return secret_new(len <= SECRET_2KIB_BYTES ? SECRET_2KIB : SECRET_128KIB, len, &call->request);
}

static err_t take_bytes(struct grpc_call *call, struct span bytes)
{
    struct cursor input = cursor_of(bytes);
    for (;;) {
        enum grpc_frame_event event = GRPC_FRAME_WANTS;
        struct span part = {0};
        TRY(grpc_frame_next(&call->frame, &input, &event, &part));
        if (event == GRPC_FRAME_WANTS) {
            return OK;
        }
        TRY(take_part(call, event, part));
    }
}

void grpc_call_data(struct grpc_call *call, struct span bytes)
{
    if (call->state != GRPC_BODY) {
        return; /* answered early: what still comes is dropped */
    }
    err_t err = take_bytes(call, bytes);
    if (failed(err)) {
        grpc_call_refuse(call, err);
    }
}

static void finish(struct grpc_call *call, struct service_reply *reply)
{
    if (!failed(reply->err) && reply->body == NULL) {
        answer_error(call, FAIL(E_BUG, "internal error"), "internal error");
        return;
    }
    if (failed(reply->err)) {
        secret_free(reply->body);
        reply->body = NULL;
        answer_error(call, reply->err, reply->text[0] != '\0' ? reply->text : reply->err.what);
        return;
    }
    call->reply = TAKE(reply->body);
    struct writer w = writer_of(span_mut_of(call->prefix, sizeof(call->prefix)));
    writer_u8(&w, 0);
    writer_u32(&w, (uint32_t)secret_view(call->reply).len);
    call->state = GRPC_ANSWERED;
}

void grpc_call_end(struct grpc_call *call)
{
    if (call->state != GRPC_BODY) {
        return;
    }
    err_t err = grpc_frame_end(&call->frame);
    if (failed(err)) {
        grpc_call_refuse(call, err);
        return;
    }
    const struct service_call request = {
        .method = call->method,
        .ticket = call->ticket,
        .deadline_ms = call->deadline_ms,
        .authority = call->authority,
        .body = call->request == NULL ? span_of(NULL, 0) : secret_view(call->request),
    };
    struct service_reply reply;
    reply.err = OK;
    reply.text[0] = '\0';
    reply.body = NULL;
    call->state = GRPC_WAITING;
    if (service_handle(call->service, &request, &reply) == SERVICE_DONE) {
        finish(call, &reply);
    }
    drop_request(call);
}

void grpc_call_reply(struct grpc_call *call, struct service_reply *reply)
{
    if (call->state != GRPC_WAITING) {
        secret_free(TAKE(reply->body));
        return;
    }
    finish(call, reply);
}

static struct grpc_header header(const char *name, const char *value)
{
    return (struct grpc_header){.name = name, .value = span_of_text(value)};
}

bool grpc_call_is_short(const struct grpc_call *call)
{
    return call->reply == NULL;
}

size_t grpc_call_head(const struct grpc_call *call,
                      struct grpc_header ret_headers[GRPC_HEADERS_MAX])
{
    size_t n = 0;
    ret_headers[n++] = header(":status", call->http_status);
    if (strcmp(call->http_status, "200") != 0) {
        return n;
    }
    ret_headers[n++] = header("content-type", "application/grpc");
    if (!grpc_call_is_short(call)) {
        return n;
    }
    ret_headers[n++] = header("grpc-status", grpc_status_digits(call->status));
    ret_headers[n++] =
        (struct grpc_header){.name = "grpc-message", .value = span_of(call->text, call->text_len)};
    if (call->tell_encodings) {
        ret_headers[n++] = header("grpc-accept-encoding", "identity");
    }
    return n;
}

size_t grpc_call_trailers(const struct grpc_call *call,
                          struct grpc_header ret_headers[GRPC_HEADERS_MAX])
{
    ret_headers[0] = header("grpc-status", grpc_status_digits(call->status));
    return 1;
}

size_t grpc_call_left(const struct grpc_call *call)
{
    return GRPC_PREFIX_LEN + secret_view(call->reply).len - call->sent;
}

void grpc_call_write(struct grpc_call *call, size_t n, struct writer *out)
{
    struct span prefix = span_of(call->prefix, GRPC_PREFIX_LEN);
    struct span body = secret_view(call->reply);
    size_t of_prefix = 0;
    if (call->sent < prefix.len) {
        of_prefix = n < prefix.len - call->sent ? n : prefix.len - call->sent;
        writer_bytes(out, span_part(prefix, call->sent, of_prefix));
    }
    if (n > of_prefix) {
        writer_bytes(out, span_part(body, call->sent + of_prefix - prefix.len, n - of_prefix));
    }
    call->sent += n;
}

size_t grpc_call_overload_head(struct service *service,
                               struct grpc_header ret_headers[GRPC_HEADERS_MAX])
{
    if (service != NULL) {
        service_limit_bites(service, LIMIT_CALLS);
    }
    ret_headers[0] = header(":status", "200");
    ret_headers[1] = header("content-type", "application/grpc");
    ret_headers[2] = header("grpc-status", grpc_status_digits(GRPC_RESOURCE_EXHAUSTED));
    ret_headers[3] = header("grpc-message", GRPC_TEXT_PREFIX "too many calls");
    return 4;
}
