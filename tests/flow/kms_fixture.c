#include "tests/flow/kms_fixture.h"

int world_set_up(void **state)
{
    *state = world_new();
    return 0;
}

int world_tear_down(void **state)
{
    world_free(*state);
    return 0;
}

const struct answer *world_status_of(struct world *world)
{
    int32_t stream = world_status(world, SERVICE_AUTHORITY_OTHER);
    assert_true(world->answers[stream].has);
    return &world->answers[stream];
}
