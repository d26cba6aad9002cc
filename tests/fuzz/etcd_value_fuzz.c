/*
 * Reads foreign bytes as inspect does: an encoding, a list, a value; what is found must lie within
 * them.
 */
#include "ctl/etcd_value.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/etcd_list.h"
#include "ctl/inspect_input.h"
#include "ctl/inspect_report.h"
#include "ctl/output.h"
#include "tests/fuzz/fuzz.h"

static void must_lie_within(struct span part, const uint8_t *data, size_t size)
{
    if (part.len > 0 && (part.ptr < data || part.ptr + part.len > data + size)) {
        abort();
    }
}

static void read_value(const uint8_t *data, size_t size)
{
    struct etcd_value value;
    if (failed(etcd_value_parse(span_of(data, size), &value))) {
        return;
    }
    must_lie_within(value.transformer, data, size);
    must_lie_within(value.name, data, size);
    must_lie_within(value.api_version, data, size);
    must_lie_within(value.kind, data, size);
    must_lie_within(value.envelope, data, size);
    must_lie_within(value.object, data, size);
    must_lie_within(value.key_id, data, size);
}

static void read_list(struct span bytes)
{
    OWN_JSON *list = NULL;
    if (failed(etcd_list_parse(bytes, &list))) {
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        CLEANUP(etcd_item_done) struct etcd_item item = {0};
        OWN_JSON *row = json_object();
        if (!failed(etcd_list_item(list, i, &item))) {
            (void)inspect_row(item.key, item.value, row);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_value(data, size);
    uint8_t *text = malloc(size + 1);
    struct span bytes;
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    if (!failed(inspect_decode(span_mut_of(text, size), INSPECT_AUTO, &bytes))) {
        OWN_JSON *report = json_object();
        bool ours = false;
        must_lie_within(bytes, text, size);
        (void)failed(inspect_report(bytes, report, &ours));
        read_list(bytes);
    }
    free(text);
    return 0;
}
