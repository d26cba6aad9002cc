/* client_job: what of a reply is believed, field by field. */
#include "token/client_job.h"

#include <stdio.h>
#include <string.h>

#include "tests/kit/unit.h"

#define NOW_MS 1000

static const struct secret_budget budget = {.amount = {[SECRET_2KIB] = 4}};
static struct job_spares spares;
static struct job *job;

static int setup(void **state)
{
    (void)state;
    struct client_request request = {
        .verb = IPC_LIST, .deadline_ms = NOW_MS, .list = {.ring = "test"}};
    assert_ok(secret_init(&budget));
    assert_ok(job_spares_init(&spares));
    assert_ok(job_new(&request, NOW_MS, &spares, &job));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    job_free(job);
    job_spares_done(&spares);
    secret_done();
    return 0;
}

static struct ipc_key good_key(void)
{
    return (struct ipc_key){
        .ref = {.id_len = 16, .fingerprint_len = 16, .scheme = 1},
        .label = "p11k:test:00000002:00000001",
        .activation = {.by = IPC_BY_LABEL, .not_before = 2, .created = 1, .ring = "test"}};
}

static err_t take(const struct ipc_key *key)
{
    const struct ipc_header header = {.verb = IPC_LIST, .flags = IPC_REPLY};
    struct client_reply reply;
    bool done = true;
    err_t err = job_take(job, &header, span_of(key, sizeof(*key)), &done, &reply);
    assert_true(failed(err) || !done);
    return err;
}

static void test_take_key_as_a_sound_process_sends_it(void **state)
{
    (void)state;
    struct ipc_key key = good_key();
    assert_ok(take(&key));
    assert_int_equal(job->keys_n, 1);
    assert_memory_equal(&job->keys[0].activation, &key.activation, sizeof(key.activation));
    key.activation = (struct ipc_activation){.by = IPC_BY_BROKEN_LABEL, .ring = "prod-eu-1"};
    assert_ok(take(&key));
    key.activation = (struct ipc_activation){.by = IPC_BY_NOTHING};
    assert_ok(take(&key));
    assert_int_equal(job->keys_n, 3);
}

static void test_take_key_each_broken_field_is_refused(void **state)
{
    (void)state;
    struct ipc_key rows[14];
    size_t n = sizeof(rows) / sizeof(rows[0]);
    for (size_t i = 0; i < n; i++) {
        rows[i] = good_key();
    }
    rows[0].ref.id_len = IPC_ID_MAX + 1;
    rows[1].ref.fingerprint_len = IPC_FINGERPRINT_MAX + 1;
    memset(rows[2].label, 'x', sizeof(rows[2].label));
    memset(rows[3].serial, 'x', sizeof(rows[3].serial));
    memset(rows[4].token, 'x', sizeof(rows[4].token));
    rows[5].state = IPC_KEY_NO_ID + 1;
    rows[6].activation.by = IPC_BY_LABEL + 1;
    memset(rows[7].activation.ring, 'x', sizeof(rows[7].activation.ring));
    (void)snprintf(rows[8].activation.ring, sizeof(rows[8].activation.ring), "Test");
    rows[9].activation.ring[0] = '\0';
    rows[10].activation.by = IPC_BY_BROKEN_LABEL; /* and yet it has dates */
    rows[11].activation = (struct ipc_activation){.by = IPC_BY_NOTHING, .ring = "test"};
    rows[12].ref.scheme = 0;    /* a fingerprint is of a scheme */
    rows[13].ref.scheme = 0xff; /* by which no envelope could be sealed */
    for (size_t i = 0; i < n; i++) {
        assert_fails(take(&rows[i]), E_PROTOCOL);
    }
    assert_int_equal(job->keys_n, 0);
}

#define WITH_JOB(test_) cmocka_unit_test_setup_teardown(test_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_JOB(test_take_key_as_a_sound_process_sends_it),
        WITH_JOB(test_take_key_each_broken_field_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
