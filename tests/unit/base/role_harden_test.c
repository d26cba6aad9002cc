/* role_harden: each protection that the kernel refuses stops the program; none is passed over. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/role.h"
#include "base/role_confine.h"
#include "tests/kit/unit.h"

static bool no_open;
static bool no_limit;
static int refused; /* the option of prctl that fails, with EPERM */
static int refusal = EPERM;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
    va_end(list);
    errno = EMFILE;
    return no_open ? -1 : __real_open(path, flags, mode);
}

/* The others are answered as if done: this process must stay as it is. */
int __wrap_prctl(int option, ...);
int __wrap_prctl(int option, ...)
{
    errno = refusal;
    return option == refused ? -1 : 0;
}

int __wrap_setrlimit(__rlimit_resource_t resource, const struct rlimit *limit);
int __wrap_setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    assert_int_equal(resource, RLIMIT_CORE);
    assert_int_equal(limit->rlim_max, 0);
    errno = EPERM;
    return no_limit ? -1 : 0;
}

static void assert_refused(err_t err, int wanted)
{
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(err.detail, wanted);
}

static void test_role_harden_every_refusal_is_an_error(void **state)
{
    (void)state;
    mode_t mask = umask(0);
    static const int options[] = {PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        refused = options[i];
        assert_refused(role_harden(), EPERM);
    }
    refused = 0;
    no_limit = true;
    assert_refused(role_harden(), EPERM);
    no_limit = false;
    no_open = true;
    assert_refused(role_harden(), EMFILE);
    no_open = false;
    assert_ok(role_harden());
    (void)umask(mask);
}

static void test_role_drop_capabilities_refusal_is_an_error(void **state)
{
    (void)state;
    refused = PR_CAP_AMBIENT;
    assert_refused(role_drop_capabilities(), EPERM);
    refused = 0;
}

/* prctl is answered as if nothing had been given up. */
static void test_role_confine_what_the_kernel_does_not_confirm_is_denied(void **state)
{
    (void)state;
    for (int id = 0; id < ROLES; id++) {
        assert_fails(role_confine((enum role_id)id), E_DENIED);
    }
    refused = PR_SET_DUMPABLE;
    assert_refused(role_confine(ROLE_FRONT), EPERM);
    refused = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_role_harden_every_refusal_is_an_error),
        cmocka_unit_test(test_role_confine_what_the_kernel_does_not_confirm_is_denied),
        cmocka_unit_test(test_role_drop_capabilities_refusal_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
