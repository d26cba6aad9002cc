/*
 * etcd_value: what kube-apiserver writes to etcd around an envelope, read without any key.
 *
 *   KMS v1   "k8s:enc:kms:v1:" name ":" u16 length, envelope, the object under its DEK
 *   KMS v2   "k8s:enc:kms:v2:" name ":" protobuf EncryptedObject {encryptedData = 1, keyID = 2,
 *            encryptedDEKSource = 3 (the envelope), annotations = 4, encryptedDEKSourceType = 5}
 */
#ifndef CTL_ETCD_VALUE_H
#define CTL_ETCD_VALUE_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* The spans borrow from the bytes given. */
struct etcd_value {
    uint8_t api;      /* enum envelope_api */
    struct span name; /* of the provider in EncryptionConfiguration */
    struct span envelope;
    struct span object;   /* under the DEK or a key derived from it */
    struct span key_id;   /* v2 */
    uint64_t source_type; /* v2: 0 DEK, 1 seed of HKDF and extended nonce */
    unsigned annotations; /* v2: how many */
};

/* E_NOT_FOUND: no value of KMS v1 or v2. E_INVALID: it is one, but broken. */
MUST_USE err_t etcd_value_parse(struct span bytes, struct etcd_value *ret_value);

#endif
