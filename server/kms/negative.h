/*
 * negative: wrapped seeds of which the token said that they never open, remembered for a minute, so
 * that a client that asks for one again and again does not trouble the token. Bounded.
 */
#ifndef SERVER_KMS_NEGATIVE_H
#define SERVER_KMS_NEGATIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"

#define NEGATIVE_MAX 1024u
#define NEGATIVE_MS  60000

struct negative;

MUST_USE err_t negative_new(struct negative **ret_negative);
void negative_free(struct negative *negative);
DEFINE_CLEANUP(struct negative *, negative_free)

void negative_add(struct negative *negative, const uint8_t key[32], int64_t boot_ms);
bool negative_has(struct negative *negative, const uint8_t key[32], int64_t boot_ms);

#endif
