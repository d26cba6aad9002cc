/*
 * pin_fixture: a SoftHSM token behind the shim, which counts the logins, and what its tests of the
 * PIN share.
 */
#ifndef TESTS_TOKEN_PIN_FIXTURE_H
#define TESTS_TOKEN_PIN_FIXTURE_H

#include "pkcs11/pin_record.h"
#include "tests/token/rig.h"

struct fixture {
    struct token_rig *rig;
    char right[64]; /* the content of "token/pin" */
};

int set_up(void **state);
int tear_down(void **state);

#define WITH_TOKEN(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

/* Starts with a wrong PIN, which is sent once. */
void refuse_once(struct fixture *fixture);
/* Starts with the right one, and stops. */
void succeed_once(struct fixture *fixture);
/* Until C_Login was called so often. */
void wait_logins(struct fixture *fixture, unsigned n);
/* Until it sleeps in its latch and says this. */
void wait_text(struct fixture *fixture, const char *text);
/* The token's record in the rig's folder, or what stands for it while it has none. */
const char *record_name(struct fixture *fixture);
/* Until the hash of the PIN that was refused is on the disk, with which that login is over. */
void wait_refused(struct fixture *fixture);
/* What is on the disk. */
struct pin_record record_of(struct fixture *fixture);
/* From now on nothing can be stored in the state folder; until unblock_state. */
void block_state(struct fixture *fixture);
void unblock_state(struct fixture *fixture);

#endif
