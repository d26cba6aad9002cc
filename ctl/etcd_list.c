#include "ctl/etcd_list.h"

#include <stdlib.h>

#include "base/own.h"
#include "ctl/inspect_input.h"
#include "ctl/output.h"

err_t etcd_list_parse(struct span bytes, json_t **ret_list)
{
    json_error_t error;
    /* Its cluster and member ids exceed a signed number. */
    OWN_JSON *root =
        json_loadb((const char *)bytes.ptr, bytes.len, JSON_DECODE_INT_AS_REAL, &error);
    json_t *list = json_object_get(root, "kvs");
    bool empty = list == NULL && json_object_get(root, "header") != NULL;
    if (!json_is_array(list) && !empty) {
        return FAIL(E_NOT_FOUND, "not what etcdctl get -w json prints");
    }
    *ret_list = empty ? json_array() : json_incref(list);
    return OK;
}

/* Decodes the text to the front of `room`, and moves that behind it. An absent one is empty. */
static err_t decode(const json_t *text, struct span_mut *room, struct span *ret_bytes)
{
    size_t len = json_string_length(text);
    if (len == 0) {
        *ret_bytes = span_of(room->ptr, 0);
        return OK;
    }
    span_move(room->ptr, json_string_value(text), len);
    TRY(inspect_decode(span_mut_of(room->ptr, len), INSPECT_BASE64, ret_bytes));
    *room = span_mut_of(room->ptr + len, room->len - len);
    return OK;
}

err_t etcd_list_item(const json_t *list, size_t i, struct etcd_item *ret_item)
{
    const json_t *object = json_array_get(list, i);
    const json_t *key = json_object_get(object, "key");
    const json_t *value = json_object_get(object, "value");
    CLEANUP(etcd_item_done) struct etcd_item item = {0};
    size_t size = json_string_length(key) + json_string_length(value);
    item.store = malloc(size + 1);
    if (item.store == NULL) {
        return FAIL_ERRNO("out of memory for an object");
    }
    struct span_mut room = span_mut_of(item.store, size);
    if (failed(decode(key, &room, &item.key)) || failed(decode(value, &room, &item.value))) {
        return FAIL(E_INVALID, "key or value is not base64");
    }
    *ret_item = item;
    item.store = NULL;
    return OK;
}

void etcd_item_done(struct etcd_item *item)
{
    free(item->store);
    *item = (struct etcd_item){0};
}
