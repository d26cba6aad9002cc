/* inspect_input: the bytes to inspect, from a file, standard input or the command line itself. */
#ifndef CTL_INSPECT_INPUT_H
#define CTL_INSPECT_INPUT_H

#include "base/err.h"
#include "base/span.h"

#define INSPECT_MAX (32u << 20) /* etcd takes 1.5 MiB an object; a list holds many */

enum inspect_encoding { INSPECT_AUTO, INSPECT_HEX, INSPECT_BASE64, INSPECT_RAW };

struct inspect_input {
    struct span bytes; /* borrows from store */
    uint8_t *store;
};

/*
 * from: "-" or NULL is standard input; the name of a file; else the text itself if it begins like a
 * value. E_SYSTEM(ENOENT): neither.
 */
MUST_USE err_t inspect_input_read(const char *from, enum inspect_encoding encoding,
                                  struct inspect_input *ret_input);
void inspect_input_done(struct inspect_input *input);

/*
 * Decodes text in place: AUTO takes raw bytes that begin like an envelope, an etcd value (also
 * below its key, as `etcdctl get` prints them) or JSON, else hex, else base64. E_INVALID: none of
 * them.
 */
MUST_USE err_t inspect_decode(struct span_mut text, enum inspect_encoding encoding,
                              struct span *ret_bytes);

#endif
