#include "pkcs11/wrap.h"
#include "pkcs11/wrap_gcm.h"

const struct wrap_scheme *const *wrap_table(size_t *ret_n)
{
    static const struct wrap_scheme *const schemes[] = {
        &wrap_gcm,
    };
    *ret_n = sizeof(schemes) / sizeof(schemes[0]);
    return schemes;
}
