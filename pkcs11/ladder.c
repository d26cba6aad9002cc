#include "pkcs11/ladder.h"

#include <poll.h>

#include "base/clock.h"

#define PAUSE_MS     10 /* before the third try; doubles */
#define PAUSE_MAX_MS 160
#define MARGIN_MS    100 /* the answer must be back before the call's time is over */

static uint32_t kind_of(err_t err)
{
    switch (err.code) {
    case E_TOKEN:
        return LADDER_ON(rv_class_of(err));
    case E_PROTOCOL:
        return LADDER_ON_LIE;
    case E_UNSUPPORTED:
        return LADDER_ON_UNSUPPORTED;
    case E_NONE:
    case E_INVALID:
    case E_NOT_FOUND:
    case E_LIMIT:
    case E_DEADLINE:
    case E_STATE:
    case E_UNAVAILABLE:
    case E_DENIED:
    case E_CRYPTO:
    case E_SYSTEM:
    case E_BUG:
        break;
    }
    return 0;
}

static err_t attempt(struct session *session, const struct climb *climb)
{
    if (!session->open) {
        TRY(session_open(session, false));
    }
    return climb->attempt(session, climb->ctx);
}

/* OK: worth another try. A session that a patient one does not get now is opened at the next. */
static err_t recover(struct session *session, const struct climb *climb, err_t err)
{
    uint32_t kind = kind_of(err);
    if ((kind & (climb->ladder->renew | climb->ladder->again)) == 0) {
        return err;
    }
    if (climb->judge != NULL) {
        TRY(climb->judge(session, climb->ctx, err));
    }
    if ((kind & climb->ladder->renew) == 0) {
        return OK;
    }
    err_t renewed = session_renew(session);
    return climb->ladder->patient && rv_class_of(renewed) != RV_LOST ? OK : renewed;
}

/* False: the call's time is over. The second try comes at once: one failure alone costs no time. */
static bool wait_more(int64_t deadline_ms, int *pause_ms)
{
    int64_t left_ms = deadline_ms - MARGIN_MS - clock_mono_ms();
    if (left_ms <= *pause_ms) {
        return false;
    }
    if (*pause_ms > 0) {
        (void)poll(NULL, 0, *pause_ms);
    }
    int longer_ms = *pause_ms == 0 ? PAUSE_MS : *pause_ms * 2;
    *pause_ms = longer_ms < PAUSE_MAX_MS ? longer_ms : PAUSE_MAX_MS;
    return true;
}

static err_t climb_once(struct session *session, const struct climb *climb)
{
    err_t err = attempt(session, climb);
    if (!failed(err)) {
        return OK;
    }
    TRY(recover(session, climb, err));
    return attempt(session, climb);
}

err_t ladder_climb(struct session *session, const struct climb *climb)
{
    int pause_ms = 0;
    err_t err;
    if (!climb->ladder->patient) {
        return climb_once(session, climb);
    }
    do {
        err = attempt(session, climb);
        if (!failed(err)) {
            return OK;
        }
        TRY(recover(session, climb, err));
    } while (wait_more(climb->deadline_ms, &pause_ms));
    return climb->expire == NULL ? err : climb->expire(climb->ctx, err);
}
