/*
 * etcd_value: what kube-apiserver writes to etcd, read without any key.
 *
 *   plain    "k8s" 0x00 protobuf Unknown {typeMeta = 1 {apiVersion = 1, kind = 2}, raw = 2},
 *            or JSON
 *   native   "k8s:enc:" ("aescbc" | "aesgcm" | "secretbox") ":v1:" key ":" the object under it
 *   KMS v1   "k8s:enc:kms:v1:" name ":" u16 length, encrypted DEK, the object under its DEK
 *   KMS v2   "k8s:enc:kms:v2:" name ":" protobuf EncryptedObject {encryptedData = 1, keyID = 2,
 *            encryptedDEKSource = 3, annotations = 4, encryptedDEKSourceType = 5}
 *
 * The encrypted DEK or its source is whatever the plugin made of it: an envelope when the plugin is
 * ours.
 */
#ifndef CTL_ETCD_VALUE_H
#define CTL_ETCD_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum etcd_form {
    ETCD_PLAIN,  /* not encrypted */
    ETCD_NATIVE, /* by a key in the EncryptionConfiguration */
    ETCD_KMS,
    ETCD_UNKNOWN /* "k8s:enc:" and a transformer that is none of these */
};

/* The spans borrow from the bytes given; empty where the form has none. */
struct etcd_value {
    enum etcd_form form;
    struct span transformer; /* "aescbc", "kms", ...; of ETCD_PLAIN empty */
    /* KMS: of the provider; native: of the key, in EncryptionConfiguration */
    struct span name;
    struct span object;      /* plain, or under the DEK or a key derived from it */
    bool json;               /* ETCD_PLAIN */
    struct span api_version; /* ETCD_PLAIN in protobuf */
    struct span kind;
    uint8_t api; /* KMS: enum envelope_api */
    struct span envelope;
    struct span key_id;   /* KMS v2 */
    uint64_t source_type; /* KMS v2: 0 DEK, 1 seed of HKDF and extended nonce */
    unsigned annotations; /* KMS v2: how many */
};

/* E_NOT_FOUND: nothing that kube-apiserver writes. E_INVALID: it is, but broken. */
MUST_USE err_t etcd_value_parse(struct span bytes, struct etcd_value *ret_value);

#endif
