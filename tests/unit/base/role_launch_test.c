/*
 * role_launch and the table that it goes by: what a role finds, and as whom it runs. The role is
 * this program itself under another name, and says on its control socket what it found.
 */
#define _GNU_SOURCE
#include "base/role_launch.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/version.h"
#include "tests/kit/unit.h"

#define REALM "00112233445566778899aabbccddeeff"
#define TALK  (1u << ROLE_FD_CONFIG | 1u << ROLE_FD_CONTROL)
#define PROBE "probe"

/* ---- the role ---- */

static unsigned open_numbers(void)
{
    unsigned found = 0;
    for (int fd = ROLE_FD_CONFIG; fd < 32; fd++) {
        found |= fcntl(fd, F_GETFD) >= 0 ? 1u << fd : 0;
    }
    return found;
}

static int probe(void)
{
    uid_t uid[3];
    gid_t gid[3];
    int signal = 0;
    static struct config config;
    struct role_message found = {.kind = ROLE_STATUS, .value = open_numbers()};
    if (getresuid(&uid[0], &uid[1], &uid[2]) != 0 || getresgid(&gid[0], &gid[1], &gid[2]) != 0 ||
        prctl(PR_GET_PDEATHSIG, &signal) != 0 ||
        failed(role_config_read(ROLE_FD_CONFIG, &config))) {
        return EXIT_FAILURE;
    }
    (void)snprintf(found.text, sizeof(found.text), "%u %u %u/%u %u %u/%d/%d/%s/%u%.9s%.9s", uid[0],
                   uid[1], uid[2], gid[0], gid[1], gid[2], getgroups(0, NULL), signal,
                   getenv("OF_TOKEN") == NULL ? "-" : getenv("OF_TOKEN"), config.tokens_n,
                   config.tokens[0].pin_file, config.tokens[1].pin_file);
    (void)send(ROLE_FD_SERVICE, "x", 1, MSG_NOSIGNAL);
    return failed(role_send(ROLE_FD_CONTROL, &found, -1)) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- its keeper ---- */

struct fixture {
    struct role_program program;
    struct config config;
    char path[64];
    struct state_dir dir;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){
        .program = {.fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), .name = PROBE}};
    assert_true(f.program.fd >= 0);
    f.config.magic = CONFIG_MAGIC;
    f.config.version = CONFIG_VERSION;
    (void)snprintf(f.config.build_id, sizeof(f.config.build_id), "%s", P11KMS_BUILD_ID);
    f.config.tokens_n = 2;
    (void)snprintf(f.config.tokens[0].pin_file, CONFIG_PATH_LEN, "/a");
    (void)snprintf(f.config.tokens[1].pin_file, CONFIG_PATH_LEN, "/b");
    (void)snprintf(f.config.tokens[1].env[f.config.tokens[1].env_n++], CONFIG_TEXT_LEN,
                   "OF_TOKEN=given");
    (void)snprintf(f.path, sizeof(f.path), "/tmp/p11kms-launch-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    assert_ok(state_open(f.path, REALM, false, &f.dir));
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)unlinkat(f->dir.fd, "pin.lock", 0);
    state_close(&f->dir);
    role_program_close(&f->program);
    return rmdir(f->path);
}

static struct role_launch launch_of(struct fixture *f, const struct role_row *row)
{
    return (struct role_launch){
        .row = row, .program = &f->program, .config = &f->config, .state = &f->dir};
}

/* Launches it, waits for its end and gives what it said. */
static struct role_message found_by(const struct role_launch *launch, int *ret_service_fd)
{
    struct role_running running;
    struct role_message found;
    OWN_FD fd = -1;
    int status = -1;
    assert_ok(role_launch(launch, &running));
    assert_int_equal(waitpid(running.pid, &status, 0), running.pid);
    assert_int_equal(status, 0);
    assert_ok(role_receive(running.control_fd, false, &found, &fd));
    (void)close(running.control_fd);
    *ret_service_fd = running.service_fd;
    return found;
}

/* `env`: its variable, and what it knows of tokens. */
static void assert_tells(const struct role_message *found, uid_t uid, gid_t gid, int groups,
                         const char *env)
{
    char wanted[256];
    (void)snprintf(wanted, sizeof(wanted), "%u %u %u/%u %u %u/%d/9/%s", uid, uid, uid, gid, gid,
                   gid, groups, env);
    assert_string_equal(found->text, wanted);
}

static unsigned open_here(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 256; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

static void test_role_row_each_is_whole_and_no_file_is_kept_for_two(void **state)
{
    (void)state;
    unsigned files = 0;
    for (int id = 0; id < ROLES; id++) {
        const struct role_row *row = role_row((enum role_id)id);
        struct role_program program;
        assert_true(strlen(row->program) < sizeof(program.name));
        assert_int_equal(row->made & TALK, TALK);
        assert_int_equal(row->made & row->given, 0);
        assert_int_equal((row->made | row->given) >> ROLE_FD_COUNT, 0);
        assert_int_equal(row->files & files, 0);
        assert_non_null(row->confine);
        assert_int_equal(row->files >> STATE_FILES, 0);
        assert_true(row->backoff_first_ms > 0 && row->backoff_first_ms < row->backoff_max_ms);
        files |= row->files;
    }
    assert_int_equal(files, (1u << STATE_FILES) - 1);
    assert_null(role_row(ROLES));
}

static void test_role_launch_token_finds_its_own_socket_lock_token_and_environment(void **state)
{
    struct role_launch launch = launch_of(*state, role_row(ROLE_TOKEN));
    launch.token = 1;
    OWN_FD service = -1;
    char byte = 0;
    struct role_message found = found_by(&launch, &service);
    assert_int_equal(found.value, TALK | 1u << ROLE_FD_SERVICE | 1u << ROLE_FD_PIN_LOCK);
    assert_tells(&found, getuid(), getgid(), getgroups(0, NULL), "given/1/b");
    assert_int_equal(recv(service, &byte, 1, MSG_DONTWAIT), 1);
    assert_int_equal(faccessat(launch.state->fd, "pin.lock", F_OK, 0), 0);
}

static void test_role_config_for_a_token_process_names_its_own_token_alone(void **state)
{
    struct role_launch launch = launch_of(*state, role_row(ROLE_TOKEN));
    struct config told;
    OWN_FD token = -1;
    OWN_FD front = -1;
    assert_ok(role_config_for(role_row(ROLE_TOKEN), launch.config, 1, &token));
    assert_ok(role_config_read(token, &told));
    assert_int_equal(told.tokens_n, 1);
    assert_memory_equal(&told.tokens[0], &launch.config->tokens[1], sizeof(told.tokens[0]));
    assert_memory_equal(&told.tokens[1], &(struct config_token){0}, sizeof(told.tokens[1]));
    assert_ok(role_config_for(role_row(ROLE_FRONT), launch.config, 0, &front));
    assert_ok(role_config_read(front, &told));
    assert_memory_equal(&told, launch.config, sizeof(told));
}

static void test_role_launch_front_finds_what_is_given_and_no_environment(void **state)
{
    struct role_launch launch = launch_of(*state, role_row(ROLE_FRONT));
    int ends[2];
    int service = 77;
    char byte = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    OWN_FD ours = ends[0];
    OWN_FD theirs = ends[1];
    launch.given[ROLE_FD_SERVICE] = theirs;
    launch.state = NULL;
    struct role_message found = found_by(&launch, &service);
    assert_int_equal(found.value, TALK | 1u << ROLE_FD_SERVICE);
    assert_tells(&found, getuid(), getgid(), getgroups(0, NULL), "-/2/a/b");
    assert_int_equal(recv(ours, &byte, 1, MSG_DONTWAIT), 1);
    assert_int_equal(service, -1);
}

static void
test_role_launch_without_a_descriptor_of_the_row_is_a_bug_and_leaks_nothing(void **state)
{
    struct role_launch launch = launch_of(*state, role_row(ROLE_FRONT));
    struct role_running running = {.pid = 77};
    unsigned before = open_here();
    assert_fails(role_launch(&launch, &running), E_BUG);
    launch.given[ROLE_FD_SERVICE] = -1;
    assert_fails(role_launch(&launch, &running), E_BUG);
    const struct role_row odd = {.program = PROBE, .made = TALK | 1u << STDOUT_FILENO};
    launch.row = &odd;
    assert_fails(role_launch(&launch, &running), E_BUG);
    assert_int_equal(open_here(), before);
    assert_int_equal(running.pid, 77);
}

/* The tests run as root; who does not has not tested this. */
static void test_role_launch_user_of_the_row_runs_it_without_a_way_back(void **state)
{
    static const struct role_row row = {.program = PROBE, .user = "nobody", .made = TALK};
    const struct role_launch launch = launch_of(*state, &row);
    const struct passwd *nobody = getpwnam("nobody");
    int service = 77;
    assert_int_equal(geteuid(), 0);
    assert_non_null(nobody);
    const uid_t uid = nobody->pw_uid;
    const gid_t gid = nobody->pw_gid;
    struct role_message found = found_by(&launch, &service);
    assert_tells(&found, uid, gid, 1, "-/2/a/b"); /* 9: it still dies with its keeper */
}

/* The exit status of a keeper that gave up rights so and launches a role of nobody's. */
static int launch_after(struct fixture *f, err_t (*give_up)(void))
{
    static const struct role_row row = {.program = PROBE, .user = "nobody", .made = TALK};
    pid_t pid = fork();
    if (pid == 0) {
        const struct role_launch launch = launch_of(f, &row);
        struct role_running running;
        err_t err = give_up();
        err = failed(err) ? err : role_launch(&launch, &running);
        _exit(failed(err) ? (int)err.detail : kill(running.pid, 0));
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_role_launch_user_by_a_keeper_that_kept_no_more_than_that_takes(void **state)
{
    assert_int_equal(launch_after(*state, role_keep_user_capabilities), 0);
    assert_int_equal(launch_after(*state, role_drop_capabilities), EPERM);
}

static void test_role_launch_user_that_is_not_to_be_had_runs_nothing(void **state)
{
    static const struct role_row row = {.program = PROBE, .user = "p11-kms-nobody", .made = TALK};
    const struct role_launch launch = launch_of(*state, &row);
    struct role_running running = {.pid = 77};
    assert_fails(role_launch(&launch, &running), E_NOT_FOUND);
    assert_int_equal(running.pid, 77);
}

static void test_role_renew_service_gives_the_role_the_other_end(void **state)
{
    (void)state;
    int control[2];
    OWN_FD ours = -1;
    OWN_FD theirs = -1;
    char byte = 0;
    struct role_message message;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
    assert_ok(role_renew_service(control[0], &ours));
    assert_ok(role_receive(control[1], false, &message, &theirs));
    assert_int_equal(message.kind, ROLE_TOKEN_SOCKET);
    assert_int_equal(send(ours, "x", 1, 0), 1);
    assert_int_equal(recv(theirs, &byte, 1, MSG_DONTWAIT), 1);
    (void)close(control[1]);
    int fd = 77;
    assert_int_equal(role_renew_service(control[0], &fd).detail, EPIPE);
    assert_int_equal(fd, 77);
    (void)close(control[0]);
}

int main(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], PROBE) == 0) {
        return probe();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_role_row_each_is_whole_and_no_file_is_kept_for_two),
        cmocka_unit_test_setup_teardown(
            test_role_launch_token_finds_its_own_socket_lock_token_and_environment, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            test_role_config_for_a_token_process_names_its_own_token_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_role_launch_front_finds_what_is_given_and_no_environment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_role_launch_without_a_descriptor_of_the_row_is_a_bug_and_leaks_nothing, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(test_role_launch_user_of_the_row_runs_it_without_a_way_back,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_role_launch_user_by_a_keeper_that_kept_no_more_than_that_takes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_role_launch_user_that_is_not_to_be_had_runs_nothing,
                                        set_up, tear_down),
        cmocka_unit_test(test_role_renew_service_gives_the_role_the_other_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
