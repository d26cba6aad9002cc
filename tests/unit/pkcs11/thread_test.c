#include "pkcs11/thread.h"

#include <pthread.h>
#include <semaphore.h>

#include "tests/kit/unit.h"

static bool no_room;
static sem_t ran;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg)
{
    return no_room ? EAGAIN : __real_pthread_create(thread, attr, run, arg);
}

static void *set_true(void *arg)
{
    *(bool *)arg = true;
    (void)sem_post(&ran);
    return NULL;
}

static void test_start_runs_it_with_its_argument(void **state)
{
    (void)state;
    static bool done;
    assert_int_equal(sem_init(&ran, 0, 0), 0);
    assert_ok(thread_start(set_true, &done));
    assert_int_equal(sem_wait(&ran), 0);
    assert_true(done);
}

static void test_start_without_room_for_one_more_says_so(void **state)
{
    (void)state;
    static bool done;
    no_room = true;
    err_t err = thread_start(set_true, &done);
    no_room = false;
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(err.detail, EAGAIN);
    assert_false(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_runs_it_with_its_argument),
        cmocka_unit_test(test_start_without_room_for_one_more_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
