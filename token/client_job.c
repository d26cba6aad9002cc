#include "token/client_job.h"

#include <stdlib.h>

#include "keys/envelope.h"
#include "keys/ring_label.h"

#define LIST_MS     10000
#define GENERATE_MS (LIST_MS + 1000 * (int64_t)IPC_GENERATE_MAX_S)
#define RANDOM_MAX  256u
#define KEYS_FIRST  16u

static int64_t longest_ms(enum ipc_verb verb)
{
    if (verb == IPC_GENERATE) {
        return GENERATE_MS; /* some HSMs take minutes, and what they made by then stays made */
    }
    return verb == IPC_LIST ? LIST_MS : CLIENT_CALL_MS;
}

static bool ends_with_nul(const char *text, size_t size)
{
    return text[size - 1] == '\0';
}

static bool ref_ok(const struct ipc_key_ref *ref)
{
    return ref->id_len <= IPC_ID_MAX && ref->fingerprint_len <= IPC_FINGERPRINT_MAX;
}

static bool names_key(const struct ipc_key_ref *ref)
{
    return ref_ok(ref) && ref->id_len > 0;
}

static err_t encode_crypt(const struct client_request *request, struct secret *payload)
{
    struct ipc_crypt crypt = {
        .key = request->key,
        .aad_len = (uint8_t)request->aad.len,
        .data_len = (uint16_t)request->data.len,
    };
    if (!names_key(&request->key) || request->aad.len > sizeof(crypt.aad) ||
        request->data.len == 0 || request->data.len > secret_cap(payload) - sizeof(crypt)) {
        return FAIL(E_INVALID, "token call out of range");
    }
    span_move(crypt.aad, request->aad.ptr, request->aad.len);
    TRY(secret_append(payload, span_of(&crypt, sizeof(crypt))));
    return secret_append(payload, request->data);
}

static err_t encode_list(const struct ipc_list *list, struct secret *payload)
{
    if (!ends_with_nul(list->ring, sizeof(list->ring)) ||
        (list->has_serving != 0 && !names_key(&list->serving))) {
        return FAIL(E_INVALID, "token call out of range");
    }
    return secret_append(payload, span_of(list, sizeof(*list)));
}

static err_t encode_generate(const struct ipc_generate *generate, struct secret *payload)
{
    if (!ends_with_nul(generate->ring, sizeof(generate->ring)) || generate->ring[0] == '\0') {
        return FAIL(E_INVALID, "token call out of range");
    }
    return secret_append(payload, span_of(generate, sizeof(*generate)));
}

static err_t encode(const struct client_request *request, struct secret *payload)
{
    switch ((int)request->verb) {
    case IPC_LIST:
        return encode_list(&request->list, payload);
    case IPC_GENERATE:
        return encode_generate(&request->generate, payload);
    case IPC_WRAP:
    case IPC_UNWRAP:
        return encode_crypt(request, payload);
    case IPC_RANDOM: {
        struct ipc_random random = {.n = request->random_n};
        if (random.n < 1 || random.n > RANDOM_MAX) {
            return FAIL(E_INVALID, "token call out of range");
        }
        return secret_append(payload, span_of(&random, sizeof(random)));
    }
    default:
        return FAIL(E_BUG, "not a call of the token");
    }
}

err_t job_spares_init(struct job_spares *spares)
{
    *spares = (struct job_spares){0};
    for (size_t i = 0; i < JOB_SPARES; i++) {
        TRY(secret_new(SECRET_2KIB, CLIENT_PAYLOAD_MAX, &spares->slots[i]));
    }
    return OK;
}

void job_spares_done(struct job_spares *spares)
{
    for (size_t i = 0; i < JOB_SPARES; i++) {
        secret_free(TAKE(spares->slots[i]));
    }
}

static err_t take_payload(struct job *job, struct job_spares *spares)
{
    err_t err = secret_new(SECRET_2KIB, CLIENT_PAYLOAD_MAX, &job->payload);
    for (size_t i = 0; failed(err) && job->class == CLIENT_CANARY && i < JOB_SPARES; i++) {
        if (spares->slots[i] != NULL) {
            job->spare = &spares->slots[i];
            job->payload = TAKE(spares->slots[i]);
            return OK;
        }
    }
    return err;
}

err_t job_new(const struct client_request *request, int64_t now_ms, struct job_spares *spares,
              struct job **ret_job)
{
    int64_t latest_ms = now_ms + longest_ms(request->verb);
    CLEANUP(job_free_p) struct job *job = calloc(1, sizeof(*job));
    if (job == NULL) {
        return FAIL(E_LIMIT, "out of memory for a token call");
    }
    job->verb = request->verb;
    job->class = request->class;
    job->done = request->done;
    job->ctx = request->ctx;
    job->deadline_ms = request->deadline_ms < latest_ms ? request->deadline_ms : latest_ms;
    TRY(take_payload(job, spares));
    TRY(encode(request, job->payload));
    *ret_job = TAKE(job);
    return OK;
}

void job_free(struct job *job)
{
    if (job == NULL) {
        return;
    }
    if (job->spare != NULL) {
        secret_set_len(job->payload, 0);
        *job->spare = TAKE(job->payload);
    }
    secret_free(job->payload);
    free(job->keys);
    free(job);
}

void job_rewind(struct job *job)
{
    job->number = 0;
    job->keys_n = 0;
    job->heard = 0;
}

bool job_repeats(const struct job *job)
{
    return !job->resent &&
           (job->verb == IPC_WRAP || job->verb == IPC_UNWRAP || job->verb == IPC_RANDOM);
}

static bool activation_ok(const struct ipc_activation *activation)
{
    if (!ends_with_nul(activation->ring, sizeof(activation->ring))) {
        return false;
    }
    bool dated = activation->not_before != 0 || activation->created != 0;
    switch ((enum ipc_activated_by)activation->by) {
    case IPC_BY_NOTHING:
        return activation->ring[0] == '\0' && !dated;
    case IPC_BY_BROKEN_LABEL:
        return ring_name_ok(activation->ring) && !dated;
    case IPC_BY_LABEL:
        return ring_name_ok(activation->ring);
    }
    return false;
}

/* What is sealed under a key names its scheme, and must open again: so it is one that we know. */
static bool scheme_ok(const struct ipc_key_ref *ref)
{
    return ref->scheme == 0 ? ref->fingerprint_len == 0 : envelope_scheme_name(ref->scheme) != NULL;
}

static bool key_ok(const struct ipc_key *key)
{
    return ref_ok(&key->ref) && ends_with_nul(key->label, sizeof(key->label)) &&
           ends_with_nul(key->serial, sizeof(key->serial)) &&
           ends_with_nul(key->token, sizeof(key->token)) && activation_ok(&key->activation) &&
           scheme_ok(&key->ref) && key->state <= IPC_KEY_NO_ID;
}

/* False when the key does not fit: then the whole listing fails, for a part of it would mislead. */
static bool keep_key(struct job *job, const struct ipc_key *key)
{
    if (job->keys_n == CLIENT_KEYS_MAX) {
        return false;
    }
    if (job->keys_n == job->keys_cap) {
        size_t cap = job->keys_cap == 0 ? KEYS_FIRST : job->keys_cap * 2;
        struct ipc_key *grown = reallocarray(job->keys, cap, sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        job->keys = grown;
        job->keys_cap = cap;
    }
    job->keys[job->keys_n++] = *key;
    return true;
}

static err_t take_key(struct job *job, struct span payload)
{
    struct ipc_key in;
    if (payload.len != sizeof(in)) {
        return FAIL(E_PROTOCOL, "broken key in a token reply");
    }
    span_move(&in, payload.ptr, sizeof(in));
    if (!key_ok(&in)) {
        return FAIL(E_PROTOCOL, "broken key in a token reply");
    }
    struct ipc_key key = in;
    (void)span_to_text(span_of_text(in.label), key.label, sizeof(key.label));
    (void)span_to_text(span_of_text(in.serial), key.serial, sizeof(key.serial));
    (void)span_to_text(span_of_text(in.token), key.token, sizeof(key.token));
    job->heard++;
    (void)keep_key(job, &key);
    return OK;
}

static err_t take_list_end(const struct job *job, struct span payload)
{
    struct ipc_list_end end;
    if (payload.len != sizeof(end)) {
        return FAIL(E_PROTOCOL, "broken end of a listing");
    }
    span_move(&end, payload.ptr, sizeof(end));
    if (end.count != job->heard) {
        return FAIL(E_PROTOCOL, "a listing with keys missing");
    }
    return OK;
}

static err_t of_outcome(uint32_t outcome, uint64_t rv)
{
    switch ((enum ipc_outcome)outcome) {
    case IPC_OK:
        return OK;
    case IPC_DATA:
        return FAIL_DETAIL(E_INVALID, rv, "the token cannot open this blob");
    case IPC_NO_KEY:
        return FAIL_DETAIL(E_NOT_FOUND, rv, "no such key on the token");
    case IPC_UNAVAILABLE:
        return FAIL_DETAIL(E_UNAVAILABLE, rv, "the token cannot be reached");
    case IPC_BUSY:
        return FAIL_DETAIL(E_LIMIT, rv, "the token is busy");
    case IPC_REFUSED:
        return FAIL_DETAIL(E_TOKEN, rv, "the token refuses this key or mechanism");
    case IPC_EXPIRED:
        return FAIL_DETAIL(E_DEADLINE, rv, "the token call came too late");
    case IPC_NOTICE:
        return FAIL_DETAIL(E_STATE, rv, "too little notice is left for this not-before");
    case IPC_LACKS:
        return FAIL_DETAIL(E_UNSUPPORTED, rv, "the token lacks a mechanism that a KEK needs");
    }
    return FAIL(E_PROTOCOL, "unknown outcome of a token call");
}

static bool verb_fits(const struct job *job, const struct ipc_header *header)
{
    return header->verb == job->verb || (job->verb == IPC_LIST && header->verb == IPC_LIST_END);
}

static err_t take_good(struct job *job, const struct ipc_header *header, struct span payload,
                       bool *ret_done)
{
    *ret_done = true;
    if (header->verb == IPC_LIST) {
        *ret_done = false;
        return take_key(job, payload);
    }
    if (header->verb == IPC_LIST_END) {
        return take_list_end(job, payload);
    }
    return job->verb == IPC_GENERATE ? take_key(job, payload) : OK;
}

static void fill(const struct job *job, struct span payload, struct client_reply *reply)
{
    if (job->heard > job->keys_n) {
        reply->err = FAIL(E_LIMIT, "the token holds more keys than a listing may have");
    } else if (job->verb == IPC_LIST || job->verb == IPC_GENERATE) {
        reply->keys = job->keys;
        reply->keys_n = job->keys_n;
    } else {
        reply->data = payload;
    }
}

err_t job_take(struct job *job, const struct ipc_header *header, struct span payload,
               bool *ret_done, struct client_reply *ret_reply)
{
    if (!verb_fits(job, header)) {
        return FAIL(E_PROTOCOL, "a token reply to another verb");
    }
    bool done = true;
    struct client_reply reply = {.verb = job->verb, .rv = header->rv};
    reply.err = of_outcome(header->outcome, header->rv);
    if (!failed(reply.err)) {
        TRY(take_good(job, header, payload, &done));
        fill(job, payload, &reply);
    }
    *ret_done = done;
    *ret_reply = reply;
    return OK;
}
