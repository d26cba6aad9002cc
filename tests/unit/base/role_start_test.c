/* What a role makes of the descriptors that it finds: it starts for its living keeper alone. */
#define _GNU_SOURCE
#include "base/role.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/role_confine.h"
#include "base/version.h"
#include "tests/kit/unit.h"

static struct config started;

/* Runs check in a child, which hardens itself; it returns true when all is well. */
static void in_child(bool (*check)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(check() ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static struct config sample(void)
{
    struct config config = {.magic = CONFIG_MAGIC, .version = CONFIG_VERSION, .ring = "test"};
    (void)snprintf(config.build_id, sizeof(config.build_id), "%s", P11KMS_BUILD_ID);
    return config;
}

/* Puts a sealed config and one end of a control socket where a role looks for them. */
static int provide(const struct config *config, int type)
{
    int ends[2];
    OWN_FD sealed = -1;
    if (failed(role_config_fd(config, &sealed)) || socketpair(AF_UNIX, type, 0, ends) != 0) {
        return -1;
    }
    int keeper = fcntl(ends[0], F_DUPFD, ROLE_FD_COUNT);
    int role = fcntl(ends[1], F_DUPFD, ROLE_FD_COUNT);
    int memory = fcntl(sealed, F_DUPFD, ROLE_FD_COUNT);
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)dup2(memory, ROLE_FD_CONFIG);
    (void)dup2(role, ROLE_FD_CONTROL);
    (void)close(role);
    (void)close(memory);
    sealed = -1; /* its number may be one of the fixed ones by now */
    return keeper;
}

static bool starts_and_keeps_its_descriptors(void)
{
    char name[16] = "";
    struct config config = sample();
    return provide(&config, SOCK_SEQPACKET) >= 0 && !failed(role_start("p11-kms-test", &started)) &&
           strcmp(started.ring, "test") == 0 && fcntl(ROLE_FD_CONFIG, F_GETFD) == FD_CLOEXEC &&
           fcntl(ROLE_FD_CONTROL, F_GETFD) == FD_CLOEXEC &&
           prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && prctl(PR_GET_NAME, name, 0, 0, 0) == 0 &&
           strcmp(name, "p11-kms-test") == 0;
}

static bool refuses_a_socket_of_another_kind(void)
{
    struct config config = sample();
    return provide(&config, SOCK_STREAM) >= 0 &&
           role_start("p11-kms-test", &started).code == E_STATE;
}

static bool refuses_a_dead_keeper(void)
{
    struct config config = sample();
    int keeper = provide(&config, SOCK_SEQPACKET);
    return keeper >= 0 && close(keeper) == 0 &&
           role_start("p11-kms-test", &started).code == E_STATE;
}

static bool refuses_a_config_that_can_change(void)
{
    struct config config = sample();
    if (provide(&config, SOCK_SEQPACKET) < 0) {
        return false;
    }
    OWN_FD loose = memfd_create("loose", MFD_ALLOW_SEALING); /* after it: at no fixed number */
    if (write(loose, &config, sizeof(config)) != (ssize_t)sizeof(config)) {
        return false;
    }
    return dup2(loose, ROLE_FD_CONFIG) == ROLE_FD_CONFIG &&
           role_start("p11-kms-test", &started).code == E_INVALID;
}

static bool refuses_a_config_of_another_build(void)
{
    struct config config = sample();
    config.build_id[0] ^= 1;
    return provide(&config, SOCK_SEQPACKET) >= 0 &&
           role_start("p11-kms-test", &started).code == E_INVALID && started.magic == 0;
}

static void test_role_start_with_a_keeper_reads_the_config(void **state)
{
    (void)state;
    in_child(starts_and_keeps_its_descriptors);
}

static void test_role_start_without_a_living_keeper_is_refused(void **state)
{
    (void)state;
    in_child(refuses_a_socket_of_another_kind);
    in_child(refuses_a_dead_keeper);
}

static void test_role_start_with_a_doubtful_config_is_refused(void **state)
{
    (void)state;
    in_child(refuses_a_config_that_can_change);
    in_child(refuses_a_config_of_another_build);
}

static bool tells_version(void)
{
    char text[256] = "";
    char *argv[] = {(char[]){"x"}, (char[]){"--version"}, NULL};
    OWN_FD out = memfd_create("out", 0);
    if (out < 0 || dup2(out, STDOUT_FILENO) < 0 || !role_told_version(2, argv, "p11-kms-test")) {
        return false;
    }
    (void)fflush(stdout);
    return pread(out, text, sizeof(text) - 1, 0) > 0 &&
           strstr(text, "p11-kms-test " P11KMS_VERSION) == text &&
           strstr(text, P11KMS_BUILD_ID) != NULL;
}

/* As after a vendor's module that thinks little of the rest of its process. */
static bool confines_anew(void)
{
    struct config config = sample();
    return provide(&config, SOCK_SEQPACKET) >= 0 && !failed(role_start("p11-kms-test", &started)) &&
           prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0 && !failed(role_confine(ROLE_TOKEN)) &&
           prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
           setuid(12345) != 0 && !failed(role_confine(ROLE_FRONT));
}

/* The tests run as root. */
static bool keeps_but_three(void)
{
    char line[128] = "";
    err_t err = role_keep_user_capabilities();
    OWN_FILE *file = fopen("/proc/self/status", "re");
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "CapPrm:\t00000000000000e0", 24) == 0) {
            return !failed(err);
        }
    }
    return false;
}

static void test_role_keep_user_capabilities_keeps_but_three(void **state)
{
    (void)state;
    in_child(keeps_but_three);
}

static bool denies_a_way_back(void)
{
    return setresuid(12345, 12345, 0) == 0 && !failed(role_harden()) &&
           role_confine(ROLE_FRONT).code == E_DENIED;
}

static bool denies_a_way_back_to_a_group(void)
{
    return setresgid(12345, 12345, 0) == 0 && !failed(role_harden()) &&
           role_confine(ROLE_FRONT).code == E_DENIED;
}

static void test_role_confine_undoes_what_was_undone_and_denies_what_it_cannot(void **state)
{
    (void)state;
    in_child(confines_anew);
    in_child(denies_a_way_back);
    in_child(denies_a_way_back_to_a_group);
}

static void test_role_told_version_only_when_asked_for_it_alone(void **state)
{
    (void)state;
    char *words[] = {(char[]){"x"}, (char[]){"--version"}, (char[]){"more"}, NULL};
    char *other[] = {(char[]){"x"}, (char[]){"--versions"}, NULL};
    (void)fflush(stdout);
    in_child(tells_version);
    assert_false(role_told_version(1, words, "p11-kms-test"));
    assert_false(role_told_version(3, words, "p11-kms-test"));
    assert_false(role_told_version(2, other, "p11-kms-test"));
}

static void test_role_environment_empty_is_as_unset(void **state)
{
    (void)state;
    (void)setenv("P11KMS_A", "value", 1);
    (void)setenv("P11KMS_B", "", 1);
    assert_string_equal(role_environment("P11KMS_A"), "value");
    assert_null(role_environment("P11KMS_B"));
    assert_null(role_environment("P11KMS_C"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_role_start_with_a_keeper_reads_the_config),
        cmocka_unit_test(test_role_start_without_a_living_keeper_is_refused),
        cmocka_unit_test(test_role_start_with_a_doubtful_config_is_refused),
        cmocka_unit_test(test_role_confine_undoes_what_was_undone_and_denies_what_it_cannot),
        cmocka_unit_test(test_role_keep_user_capabilities_keeps_but_three),
        cmocka_unit_test(test_role_told_version_only_when_asked_for_it_alone),
        cmocka_unit_test(test_role_environment_empty_is_as_unset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
