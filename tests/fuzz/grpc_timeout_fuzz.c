/* A grpc-timeout: never negative, never above the largest that eight digits of hours can say. */
#include "server/grpc/timeout.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t ms = -1;
    bool parsed = !failed(grpc_timeout_parse(span_of(data, size), &ms));
    bool in_range = ms >= 0 && ms <= INT64_C(99999999) * 3600000;
    if (parsed ? !in_range || size > 9 : ms != -1) {
        abort();
    }
    return 0;
}
