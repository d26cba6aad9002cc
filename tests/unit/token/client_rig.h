/* client_rig: a client and a fake token in one test, with the test's own clock. */
#ifndef TESTS_UNIT_TOKEN_CLIENT_RIG_H
#define TESTS_UNIT_TOKEN_CLIENT_RIG_H

#include "token/client.h"
#include "tests/kit/fake_token.h"
#include "tests/kit/unit.h"

#define NOW_S     1700000000
#define WINDOW    2u
#define HEARD_MAX 300

struct heard {
    uint64_t id;
    err_t err;
    uint64_t rv;
    size_t keys_n;
    uint8_t data[256];
    size_t len;
};

struct client_rig {
    struct fake_token *token;
    struct client *client;
    struct heard heard[HEARD_MAX];
    size_t heard_n;
    unsigned hung;
    unsigned statuses;
    int64_t now_ms;
    int flood_fd; /* not 0: each status that arrives there sets off the next */
};

extern struct client_rig t;

/* The teardown fails when anything is left in the arena. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* A status of a text that differs from the last one. */
void send_status(int fd);

/* Lets both sides do what there is to do at this time. */
void settle(void);
void later(int64_t ms);
/* A token process comes up and is ready. */
void connect_token(void);
/* A request of this id (up to 1025) with key 0, data "seed", ring "test" and 2 s of time. */
struct client_request request(enum ipc_verb verb, enum client_class class, uint64_t id);
void call(enum ipc_verb verb, enum client_class class, uint64_t id);
void cancel(uint64_t id);
/* What was answered to the call of this id; more than one answer fails the test. */
const struct heard *answer_to(uint64_t id);
void assert_answer(uint64_t id, enum err_code code);

#define WITH_TOKEN(test_) cmocka_unit_test_setup_teardown(test_, rig_setup, rig_teardown)

#endif
