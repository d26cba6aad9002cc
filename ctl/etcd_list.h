/*
 * etcd_list: the objects in what `etcdctl get -w json` prints: {"kvs": [{"key": base64, "value":
 * base64}]}.
 */
#ifndef CTL_ETCD_LIST_H
#define CTL_ETCD_LIST_H

#include <jansson.h>

#include "base/err.h"
#include "base/span.h"

struct etcd_item {
    struct span key;
    struct span value;
    uint8_t *store; /* both borrow from it */
};

/* E_NOT_FOUND: not such a list. *ret_list: the array of its objects, the caller's to decref. */
MUST_USE err_t etcd_list_parse(struct span bytes, json_t **ret_list);
/* The object at i < json_array_size. E_INVALID: it has no key and value in base64. */
MUST_USE err_t etcd_list_item(const json_t *list, size_t i, struct etcd_item *ret_item);
void etcd_item_done(struct etcd_item *item);

#endif
