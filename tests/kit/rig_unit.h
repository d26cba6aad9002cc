/* rig_unit: what every cmocka test of an HTTP/2 session over the rig begins with and asks. */
#ifndef TESTS_KIT_RIG_UNIT_H
#define TESTS_KIT_RIG_UNIT_H

#include "tests/kit/rig.h"
#include "tests/kit/unit.h"

#define BYTES(literal_) span_of((literal_), sizeof(literal_) - 1)

static inline int setup(void **state)
{
    (void)state;
    return failed(secret_init(&secret_budget_front)) ? -1 : 0;
}

static inline int teardown(void **state)
{
    (void)state;
    bool clean = secret_free_space_is_zero();
    secret_done();
    return clean ? 0 : -1;
}

static inline void assert_status(const struct rig *rig, int32_t stream, const char *status)
{
    assert_string_equal(rig_answer(rig, stream)->grpc_status, status);
    assert_true(rig_answer(rig, stream)->ended);
}

static inline void assert_still_serves(struct rig *rig, int32_t stream)
{
    rig->service.mode = FAKE_ECHO;
    wire_call(&rig->to_send, stream, PATH_ENCRYPT, BYTES("alive"));
    rig_run(rig);
    assert_status(rig, stream, "0");
    assert_int_equal(rig->peer->goaways, 0);
}

#endif
