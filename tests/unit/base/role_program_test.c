/*
 * Where a program of ours is looked for: beside this one, then in libexec; here that is a folder of
 * ours.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/role.h"
#include "tests/kit/unit.h"

static char libexec[] = "/tmp/p11kms-libexec-XXXXXX";
static bool no_proc;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
    va_end(list);
    return __real_open(strcmp(path, P11KMS_LIBEXEC) == 0 ? libexec : path, flags, mode);
}

ssize_t __real_readlink(const char *path, char *room, size_t size);
ssize_t __wrap_readlink(const char *path, char *room, size_t size);
ssize_t __wrap_readlink(const char *path, char *room, size_t size)
{
    if (no_proc) {
        errno = ENOENT;
        return -1;
    }
    return __real_readlink(path, room, size);
}

static int set_up(void **state)
{
    (void)state;
    char path[64];
    assert_non_null(mkdtemp(libexec));
    (void)snprintf(path, sizeof(path), "%s/p11-kms-test", libexec);
    OWN_FD fd = open(path, O_WRONLY | O_CREAT, 0700);
    assert_int_equal(write(fd, "#!", 2), 2);
    (void)snprintf(path, sizeof(path), "%s/p11-kms-folder", libexec);
    return mkdir(path, 0700);
}

static int tear_down(void **state)
{
    (void)state;
    char path[64];
    (void)snprintf(path, sizeof(path), "%s/p11-kms-test", libexec);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/p11-kms-folder", libexec);
    (void)rmdir(path);
    return rmdir(libexec);
}

static void test_role_program_open_beside_this_one_is_found_first(void **state)
{
    (void)state;
    struct role_program program;
    struct stat own;
    struct stat found;
    assert_ok(role_program_open("unit.base.role_program_test", &program));
    assert_int_equal(stat("/proc/self/exe", &own), 0);
    assert_int_equal(fstat(program.fd, &found), 0);
    assert_true(own.st_dev == found.st_dev && own.st_ino == found.st_ino);
    assert_int_equal(fcntl(program.fd, F_GETFD), FD_CLOEXEC);
    role_program_close(&program);
    assert_int_equal(program.fd, -1);
    role_program_close(&program);
}

static void test_role_program_open_in_libexec_is_found_next(void **state)
{
    (void)state;
    struct role_program program;
    char text[2];
    assert_ok(role_program_open("p11-kms-test", &program));
    assert_string_equal(program.name, "p11-kms-test");
    assert_int_equal(read(program.fd, text, 2), 2);
    assert_memory_equal(text, "#!", 2);
    role_program_close(&program);
}

static void test_role_program_open_what_is_no_file_is_refused(void **state)
{
    (void)state;
    struct role_program program = {.fd = 77};
    assert_fails(role_program_open("p11-kms-folder", &program), E_INVALID);
    err_t err = role_program_open("p11-kms-missing", &program);
    assert_int_equal(err.code, E_SYSTEM);
    assert_non_null(strstr(err.what, P11KMS_LIBEXEC));
    assert_int_equal(err.detail, ENOENT);
    assert_int_equal(program.fd, 77);
}

static void test_role_program_open_without_proc_is_an_error(void **state)
{
    (void)state;
    struct role_program program = {.fd = 77};
    no_proc = true;
    err_t err = role_program_open("p11-kms-test", &program);
    no_proc = false;
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(program.fd, 77);
}

static void test_role_program_open_missing_is_an_error(void **state)
{
    (void)state;
    struct role_program program;
    assert_fails(role_program_open("p11-kms-no-such-program", &program), E_SYSTEM);
    assert_fails(role_program_open("p11-kms-a-name-that-is-longer-than-it-may-be", &program),
                 E_BUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_role_program_open_missing_is_an_error),
        cmocka_unit_test(test_role_program_open_beside_this_one_is_found_first),
        cmocka_unit_test(test_role_program_open_in_libexec_is_found_next),
        cmocka_unit_test(test_role_program_open_what_is_no_file_is_refused),
        cmocka_unit_test(test_role_program_open_without_proc_is_an_error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
