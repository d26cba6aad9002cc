#include "pkcs11/mechanism.h"

#include "pkcs11/find.h"
#include "pkcs11/rv.h"
#include "token/ipc.h"

static const struct {
    CK_MECHANISM_TYPE type;
    enum ipc_mechanism name;
} needed[] = {
    {CKM_AES_KEY_GEN, IPC_MECHANISM_AES_KEY_GEN},
    {CKM_AES_GCM, IPC_MECHANISM_AES_GCM},
    {CKM_AES_CBC, IPC_MECHANISM_AES_CBC},
};

err_t mechanism_check(const struct session *session)
{
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        CK_MECHANISM_INFO info = {0};
        CK_RV rv = P11(session->module, C_GetMechanismInfo, session->token->slot, needed[i].type,
                       &info);
        if (rv_is_no_mechanism(rv)) {
            return FAIL_DETAIL(E_UNSUPPORTED, needed[i].name, "a mechanism is missing");
        }
        if (rv_is_no_function(rv)) {
            return OK;
        }
        RV_TRY(rv, "C_GetMechanismInfo");
    }
    return OK;
}
