/* What the state folder does not take, or has lost. */
#include "tests/flow/kms_fixture.h"

/* What it was stored in is gone with all of it: nothing waits for a change to be stored again. */
static void test_state_folder_that_is_new_gets_all_at_once(void **state)
{
    struct world *world = *state;
    world_serve(world);
    unsigned puts[STATE_FILES];
    for (size_t i = 0; i < STATE_FILES; i++) {
        puts[i] = world->state[i].puts;
    }
    service_storing(world->service, STATE_SEEDS, "/state: full");
    service_storing(world->service, STATE_FILES, "/state: gone");
    world_pass(world, 1500);
    assert_int_equal(world->state[STATE_CURRENT].puts, puts[STATE_CURRENT]);
    service_storing(world->service, STATE_FILES, "");
    world_pass(world, 3000);
    assert_int_equal(world->state[STATE_CURRENT].puts, puts[STATE_CURRENT] + 1);
    assert_int_equal(world->state[STATE_SEEDS].puts, puts[STATE_SEEDS] + 1);
    assert_true(world->state[STATE_HEALTH].puts > puts[STATE_HEALTH]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_state_folder_that_is_new_gets_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
