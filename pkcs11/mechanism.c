#include "pkcs11/mechanism.h"

#include "pkcs11/find.h"
#include "pkcs11/rv.h"

err_t mechanism_check(const struct session *session, const struct wrap_scheme *scheme)
{
    for (size_t i = 0; i < scheme->needs_n; i++) {
        const struct wrap_mechanism *needed = &scheme->needs[i];
        CK_MECHANISM_INFO info = {0};
        CK_RV rv =
            P11(session->module, C_GetMechanismInfo, session->token->slot, needed->type, &info);
        if (rv_is_no_mechanism(rv)) {
            return FAIL_DETAIL(E_UNSUPPORTED, needed->name, "a mechanism is missing");
        }
        if (rv_is_no_function(rv)) {
            return OK;
        }
        RV_TRY(rv, "C_GetMechanismInfo");
    }
    return OK;
}
