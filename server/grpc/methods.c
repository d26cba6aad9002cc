#include "server/grpc/methods.h"

err_t grpc_method_find(struct span path, enum codec_method *ret_method)
{
    for (int i = 0; i < CODEC_METHODS; i++) {
        enum codec_method method = (enum codec_method)i;
        if (span_equal(path, span_of_text(codec_path(method)))) {
            *ret_method = method;
            return OK;
        }
    }
    return FAIL(E_UNSUPPORTED, "unknown method");
}
