/*
 * span: views of bytes, and the only offset arithmetic on bytes that we did not write.
 *
 * A span borrows; it never owns. A cursor reads a span from front to back and a writer fills one;
 * both carry a sticky `bad` flag, so that many steps need one check at the end. All integers on our
 * wires and in our formats are big endian.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const uint8_t *ptr;
    size_t len;
};

struct span_mut {
    uint8_t *ptr;
    size_t len;
};

/* Views. span_of_text takes a NUL-terminated string, without its NUL. */
struct span span_of(const void *ptr, size_t len);
struct span span_of_text(const char *text);
struct span_mut span_mut_of(void *ptr, size_t len);
struct span span_const(struct span_mut room);

/* The part [from, from + len); an empty span with ptr NULL when it does not lie within. */
struct span span_part(struct span whole, size_t from, size_t len);

/* Public bytes only, not constant time: secrets are compared with secret_equal. */
bool span_equal(struct span a, struct span b);

/* Copies all of `from` to the front of `to`; false (nothing copied) when it does not fit. */
bool span_copy(struct span_mut to, struct span from);

/* Copies n bytes between buffers that do not overlap: the house's memcpy. */
void span_move(void *to, const void *from, size_t n);

/* Bytes of the UTF-8 character (RFC 3629) in front; 0, *ret_point untouched, when there is none. */
size_t span_character(struct span bytes, uint32_t *ret_point);

/*
 * False for what steers a terminal or another reader instead of being seen: control characters (C0,
 * DEL, C1), separators of lines and paragraphs, and what turns the direction of writing.
 */
bool span_is_shown(uint32_t point);

/* No byte below 0x20, none of 0x7f, well-formed UTF-8 (RFC 3629), no NUL. */
bool span_is_text(struct span bytes);

/*
 * Foreign bytes for people, as UTF-8: '?' stands for each character that is not shown and for each
 * byte of no character. NUL-terminated; a character that does not fit into size - 1 bytes ends it.
 * Returns how many of `bytes` it stands for. size >= 1. Never for secrets.
 */
size_t span_to_text(struct span bytes, char *ret_text, size_t size);

/* Takes the half of a character off the end of a text that something else, as snprintf, has cut. */
void span_end_whole(char *text);

struct cursor {
    struct span rest;
    bool bad;
};

struct cursor cursor_of(struct span bytes);
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
/* A view of the next n bytes; empty and `bad` when fewer are left. */
struct span cursor_bytes(struct cursor *c, size_t n);
/* Copies the next n bytes out; zeroes the target and sets `bad` when fewer are left. */
void cursor_copy(struct cursor *c, void *to, size_t n);
/* True when every byte has been read and none was missing. */
bool cursor_at_end(const struct cursor *c);

struct writer {
    struct span_mut room;
    size_t len; /* bytes written so far */
    bool bad;   /* something did not fit: nothing of it was written */
};

struct writer writer_of(struct span_mut room);
void writer_u8(struct writer *w, uint8_t value);
void writer_u16(struct writer *w, uint16_t value);
void writer_u32(struct writer *w, uint32_t value);
void writer_u64(struct writer *w, uint64_t value);
void writer_bytes(struct writer *w, struct span bytes);
/* Reserves n bytes for the caller to fill; {NULL, 0} and `bad` when they do not fit. */
struct span_mut writer_room(struct writer *w, size_t n);
struct span writer_done(const struct writer *w);

#endif
