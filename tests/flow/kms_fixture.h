/* kms_fixture: what each test of the service over the fake token begins and ends with. */
#ifndef TESTS_FLOW_KMS_FIXTURE_H
#define TESTS_FLOW_KMS_FIXTURE_H

#include "tests/flow/kms_world.h"

#define IN_WORLD(test_) cmocka_unit_test_setup_teardown(test_, world_set_up, world_tear_down)

int world_set_up(void **state);
int world_tear_down(void **state);
/* Asks for the Status, as an API server of today, and wants it answered at once. */
const struct answer *world_status_of(struct world *world);

#endif
