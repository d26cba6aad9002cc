/* Reads foreign bytes as an etcd value; what is found must lie within them. */
#include "ctl/etcd_value.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

static void must_lie_within(struct span part, const uint8_t *data, size_t size)
{
    if (part.len > 0 && (part.ptr < data || part.ptr + part.len > data + size)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct etcd_value value;
    if (!failed(etcd_value_parse(span_of(data, size), &value))) {
        must_lie_within(value.name, data, size);
        must_lie_within(value.envelope, data, size);
        must_lie_within(value.object, data, size);
        must_lie_within(value.key_id, data, size);
    }
    return 0;
}
