/*
 * wire: HTTP/2 frames as a test wants to write and read them, also wrong ones. Nothing here checks
 * what it is asked to say. Headers are HPACK literals that are never indexed; the answers of a
 * server are decoded in full. Any trouble of its own aborts.
 *
 *     struct wire w = {0};
 *     wire_open(&w);                                     preface and SETTINGS
 *     wire_call(&w, 1, "/v2.KeyManagementService/Status", span_of(NULL, 0));
 *     … give wire_bytes(&w) to a server …
 *     wire_peer_read(peer, its output);
 *     wire_peer_answer(peer, 1)->grpc_status …
 */
#ifndef TESTS_KIT_WIRE_H
#define TESTS_KIT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"
#include "base/span.h"

#define WIRE_ROOM (512u * 1024)
/* Streams that a peer remembers: ids 1 to 2047, then over the first again. */
#define WIRE_ANSWERS 1024u

enum wire_type {
    WIRE_DATA = 0,
    WIRE_HEADERS = 1,
    WIRE_RST_STREAM = 3,
    WIRE_SETTINGS = 4,
    WIRE_PING = 6,
    WIRE_GOAWAY = 7,
    WIRE_WINDOW_UPDATE = 8,
    WIRE_CONTINUATION = 9
};
enum wire_flag { WIRE_END_STREAM = 1, WIRE_ACK = 1, WIRE_END_HEADERS = 4, WIRE_PADDED = 8 };

struct wire {
    size_t len;
    uint8_t bytes[WIRE_ROOM];
};

struct wire_field {
    const char *name;
    const char *value;
};

/* The eight headers of grpc-go; a field that is NULL or "" in name ends the list. */
#define WIRE_FIELDS_MAX 16u
struct wire_request {
    struct wire_field fields[WIRE_FIELDS_MAX];
};
/* As grpc-go sends them for this path. */
struct wire_request wire_request_to(const char *path);
/* Replaces the value of a field, or appends the field. value NULL: takes it away. */
void wire_request_set(struct wire_request *request, const char *name, const char *value);

struct span wire_bytes(const struct wire *w);
void wire_raw(struct wire *w, struct span bytes);
void wire_frame(struct wire *w, enum wire_type type, unsigned flags, int32_t stream,
                struct span payload);
void wire_open(struct wire *w);
void wire_settings(struct wire *w, uint16_t id, uint32_t value);
void wire_settings_ack(struct wire *w);
void wire_ping(struct wire *w, const char *eight);
void wire_window(struct wire *w, int32_t stream, uint32_t by);
void wire_reset(struct wire *w, int32_t stream, uint32_t code);
void wire_headers(struct wire *w, int32_t stream, unsigned flags,
                  const struct wire_request *request);
/* The header block alone, for CONTINUATION. */
void wire_block(struct wire *w, const struct wire_request *request);
/* A DATA frame with the gRPC prefix and the message. */
void wire_message(struct wire *w, int32_t stream, unsigned flags, struct span message);
/* HEADERS and DATA with END_STREAM. */
void wire_call(struct wire *w, int32_t stream, const char *path, struct span message);

struct wire_answer {
    int32_t stream;
    char http_status[8];
    char content_type[32];
    char grpc_status[8];
    char message[1024];
    char accept_encoding[32];
    char encoding[32];
    unsigned header_frames;
    unsigned data_frames;
    size_t body_len; /* with its prefix */
    uint8_t body[8192];
    bool ended;
    bool ended_on_data;
    bool reset;
    uint32_t reset_code;
};

struct wire_peer {
    unsigned frames;
    unsigned settings; /* not ACKs */
    unsigned settings_acks;
    unsigned ping_acks;
    unsigned pings;
    uint8_t ping[8];
    unsigned goaways;
    uint32_t goaway_code;
    int32_t goaway_last;
    uint32_t max_streams; /* as advertised */
    bool settings_first;
    size_t left;
    struct wire_answer *answers;
    void *inflater;
    uint8_t pending[32 * 1024]; /* a frame that is not yet whole */
};

struct wire_peer *wire_peer_new(void);
void wire_peer_free(struct wire_peer *peer);
DEFINE_CLEANUP(struct wire_peer *, wire_peer_free)
void wire_peer_read(struct wire_peer *peer, struct span bytes);
const struct wire_answer *wire_peer_answer(const struct wire_peer *peer, int32_t stream);

#endif
