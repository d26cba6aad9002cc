#define _GNU_SOURCE
#include "base/role.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/version.h"
#include "tests/kit/unit.h"

struct fixture {
    int ends[2];
    char path[64];
    struct state_dir dir;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fixture.ends), 0);
    (void)snprintf(fixture.path, sizeof(fixture.path), "/tmp/p11kms-role-XXXXXX");
    assert_non_null(mkdtemp(fixture.path));
    assert_ok(state_open(fixture.path, "00112233445566778899aabbccddeeff", false, &fixture.dir));
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)close(f->ends[0]);
    (void)close(f->ends[1]);
    (void)unlinkat(f->dir.fd, "pin", 0);
    state_close(&f->dir);
    return rmdir(f->path);
}

static const struct role_message hello = {
    .magic = ROLE_MAGIC, .kind = ROLE_STATUS, .text = "hello"};

static void test_role_send_message_and_descriptor_arrive(void **state)
{
    struct fixture *f = *state;
    struct role_message got;
    int fd = 77;
    assert_fails(role_receive(f->ends[1], false, &got, &fd), E_UNAVAILABLE);
    assert_int_equal(fd, 77);
    assert_ok(role_send(f->ends[0], &hello, STDERR_FILENO));
    assert_ok(role_receive(f->ends[1], true, &got, &fd));
    assert_string_equal(got.text, "hello");
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    (void)close(fd);
    assert_ok(role_send(f->ends[0], &hello, -1));
    assert_ok(role_receive(f->ends[1], false, &got, &fd));
    assert_int_equal(fd, -1);
}

static void test_role_send_never_blocks_and_sees_a_closed_peer(void **state)
{
    struct fixture *f = *state;
    err_t err = OK;
    for (int i = 0; i < 100000 && !failed(err); i++) {
        err = role_send(f->ends[0], &hello, -1);
    }
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(err.detail, EAGAIN);
    (void)close(f->ends[1]);
    f->ends[1] = -1;
    err = role_send(f->ends[0], &hello, -1);
    assert_int_equal(err.code, E_SYSTEM);
    assert_int_equal(err.detail, EPIPE);
}

static void test_role_receive_closed_peer_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct role_message got;
    int fd = -1;
    (void)close(f->ends[0]);
    f->ends[0] = -1;
    assert_fails(role_receive(f->ends[1], true, &got, &fd), E_NOT_FOUND);
}

static void test_role_receive_foreign_packets_are_refused(void **state)
{
    struct fixture *f = *state;
    struct role_message got;
    int fd = -1;
    struct role_message bad = hello;
    bad.magic++;
    assert_int_equal(send(f->ends[0], &bad, sizeof(bad), 0), sizeof(bad));
    assert_fails(role_receive(f->ends[1], true, &got, &fd), E_PROTOCOL);
    bad = hello;
    memset(bad.text, 'x', sizeof(bad.text));
    assert_ok(role_send(f->ends[0], &bad, STDERR_FILENO));
    assert_fails(role_receive(f->ends[1], true, &got, &fd), E_PROTOCOL);
    char long_one[sizeof(hello) + 1] = {0};
    memcpy(long_one, &hello, sizeof(hello));
    assert_int_equal(send(f->ends[0], long_one, sizeof(long_one), 0), sizeof(long_one));
    assert_fails(role_receive(f->ends[1], true, &got, &fd), E_PROTOCOL);
    assert_int_equal(send(f->ends[0], long_one, sizeof(hello) - 1, 0), sizeof(hello) - 1);
    assert_fails(role_receive(f->ends[1], true, &got, &fd), E_PROTOCOL);
    assert_int_equal(fd, -1);
}

static void test_role_receive_two_descriptors_are_closed_and_refused(void **state)
{
    struct fixture *f = *state;
    struct role_message copy = hello;
    struct iovec part = {&copy, sizeof(copy)};
    int fds[2] = {STDOUT_FILENO, STDERR_FILENO};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(fds))];
    } room = {0};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = room.bytes,
                            .msg_controllen = sizeof(room.bytes)};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
    int lowest = dup(STDERR_FILENO);
    (void)close(lowest);
    assert_int_equal(sendmsg(f->ends[0], &header, 0), sizeof(copy));
    struct role_message got;
    int fd = -1;
    assert_fails(role_receive(f->ends[1], true, &got, &fd), E_PROTOCOL);
    int after = dup(STDERR_FILENO);
    (void)close(after);
    assert_int_equal(lowest, after); /* none of the two was leaked */
}

static void test_role_receive_empty_packet_with_descriptor_leaks_nothing(void **state)
{
    struct fixture *f = *state;
    int given = STDERR_FILENO;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(given))];
    } room = {0};
    struct msghdr header = {.msg_control = room.bytes, .msg_controllen = sizeof(room.bytes)};
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(given));
    memcpy(CMSG_DATA(cmsg), &given, sizeof(given));
    int lowest = dup(STDERR_FILENO);
    (void)close(lowest);
    assert_int_equal(sendmsg(f->ends[0], &header, 0), 0);
    struct role_message got;
    int fd = -1;
    assert_fails(role_receive(f->ends[1], true, &got, &fd), E_NOT_FOUND);
    int after = dup(STDERR_FILENO);
    (void)close(after);
    assert_int_equal(lowest, after);
}

/* ---- the config ---- */

static struct config sample(void)
{
    struct config config = {.magic = CONFIG_MAGIC, .version = CONFIG_VERSION, .ring = "test"};
    (void)snprintf(config.build_id, sizeof(config.build_id), "%s", P11KMS_BUILD_ID);
    return config;
}

static void test_role_config_sealed_round_trips_and_cannot_change(void **state)
{
    (void)state;
    struct config config = sample();
    struct config back;
    OWN_FD fd = -1;
    assert_ok(role_config_fd(&config, &fd));
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 1), -1);
    assert_ok(role_config_read(fd, &back));
    assert_string_equal(back.ring, "test");
}

static void test_role_config_read_unsealed_or_other_is_refused(void **state)
{
    (void)state;
    struct config config = sample();
    struct config back;
    OWN_FD loose = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(loose, &config, sizeof(config)), (ssize_t)sizeof(config));
    assert_fails(role_config_read(loose, &back), E_INVALID);
    OWN_FD other_version = -1;
    config.version++;
    assert_ok(role_config_fd(&config, &other_version));
    assert_fails(role_config_read(other_version, &back), E_INVALID);
    OWN_FD other_build = -1;
    config = sample();
    config.build_id[0] = 'x';
    assert_ok(role_config_fd(&config, &other_build));
    assert_fails(role_config_read(other_build, &back), E_INVALID);
    assert_int_equal(ftruncate(loose, sizeof(config) - 1), 0);
    config = sample();
    OWN_FD half = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(half, &config, sizeof(config)), (ssize_t)sizeof(config));
    assert_int_equal(fcntl(half, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    assert_fails(role_config_read(half, &back), E_INVALID);
    assert_int_equal(
        fcntl(loose, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
    assert_fails(role_config_read(loose, &back), E_INVALID);
    assert_fails(role_config_read(-1, &back), E_INVALID);
}

/* ---- state files ---- */

static void serve_one(struct fixture *f, unsigned allowed, enum err_code expected)
{
    struct role_message message;
    OWN_FD fd = -1;
    assert_ok(role_receive(f->ends[1], true, &message, &fd));
    assert_fails(role_serve_state(f->ends[1], &f->dir, allowed, &message, fd), expected);
}

static void test_role_serve_state_stores_and_reads_back(void **state)
{
    struct fixture *f = *state;
    struct role_message answer;
    OWN_FD fd = -1;
    assert_ok(role_put_state(f->ends[0], STATE_PIN, span_of_text("record"), 7));
    serve_one(f, 1u << STATE_PIN, E_NONE);
    assert_ok(role_receive(f->ends[0], true, &answer, &fd));
    assert_int_equal(answer.kind, ROLE_STATE_STORED);
    assert_int_equal(answer.sequence, 7);
    assert_int_equal(answer.value, 0);
    const struct role_message ask = {.kind = ROLE_STATE_GET, .file = STATE_PIN, .sequence = 8};
    assert_ok(role_send(f->ends[0], &ask, -1));
    serve_one(f, 1u << STATE_PIN, E_NONE);
    assert_ok(role_receive(f->ends[0], true, &answer, &fd));
    assert_int_equal(answer.kind, ROLE_STATE_DATA);
    assert_int_equal(answer.sequence, 8);
    assert_int_equal(answer.value, 6);
    assert_int_equal(write(fd, "x", 1), -1); /* read-only */
}

static void test_role_serve_state_others_and_odd_descriptors_are_denied(void **state)
{
    struct fixture *f = *state;
    struct role_message answer;
    int fd = -1;
    assert_ok(role_put_state(f->ends[0], STATE_PIN, span_of_text("record"), 7));
    serve_one(f, ~(1u << STATE_PIN), E_SYSTEM);
    assert_ok(role_receive(f->ends[0], true, &answer, &fd));
    assert_int_equal(answer.sequence, 7); /* of a refusal, too */
    assert_int_equal(answer.value, EACCES);
    struct role_message put = {.kind = ROLE_STATE_PUT, .file = STATE_PIN, .value = 1};
    OWN_FD zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_ok(role_send(f->ends[0], &put, zero));
    serve_one(f, ~0u, E_SYSTEM);
    assert_ok(role_receive(f->ends[0], true, &answer, &fd));
    assert_int_equal(answer.value, EBADF);
    put.value = STATE_SIZE_MAX + 1;
    assert_ok(role_send(f->ends[0], &put, zero));
    serve_one(f, ~0u, E_SYSTEM);
    assert_ok(role_receive(f->ends[0], true, &answer, &fd));
    assert_int_equal(answer.value, EFBIG);
    put.file = 99;
    assert_ok(role_send(f->ends[0], &put, zero));
    serve_one(f, ~0u, E_SYSTEM);
}

/* ---- processes ---- */

/* Runs check in a child, which may harden itself; it returns true when all is well. */
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

static bool is_hardened(void)
{
    struct rlimit core = {1, 1};
    err_t err = role_harden();
    return !failed(err) && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 &&
           getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 &&
           prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && umask(0) == 0077;
}

static bool has_no_capability(void)
{
    char line[128] = "";
    err_t err = role_drop_capabilities();
    OWN_FILE *file = fopen("/proc/self/status", "re");
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "CapEff:\t0000000000000000", 24) == 0) {
            return !failed(err);
        }
    }
    return false;
}

static bool is_refused_by_hand(void)
{
    static struct config config;
    (void)close(ROLE_FD_CONTROL);
    return role_start("p11-kms-front", &config).code == E_STATE;
}

/* What is opened next, a lock or a token's file, must not be taken for the place of the log. */
static bool fills_standard(void)
{
    (void)close(STDIN_FILENO);
    (void)close(STDOUT_FILENO);
    (void)close(STDERR_FILENO);
    return !failed(role_harden()) && fcntl(STDIN_FILENO, F_GETFD) >= 0 &&
           fcntl(STDOUT_FILENO, F_GETFD) >= 0 && write(STDERR_FILENO, "x", 1) == 1;
}

static void test_role_harden_takes_effect(void **state)
{
    (void)state;
    in_child(is_hardened);
    in_child(has_no_capability);
    in_child(fills_standard);
}

static void test_role_start_by_hand_is_refused(void **state)
{
    (void)state;
    in_child(is_refused_by_hand);
}

#define WITH_PAIR(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PAIR(test_role_send_message_and_descriptor_arrive),
        WITH_PAIR(test_role_send_never_blocks_and_sees_a_closed_peer),
        WITH_PAIR(test_role_receive_closed_peer_is_not_found),
        WITH_PAIR(test_role_receive_foreign_packets_are_refused),
        WITH_PAIR(test_role_receive_two_descriptors_are_closed_and_refused),
        WITH_PAIR(test_role_receive_empty_packet_with_descriptor_leaks_nothing),
        cmocka_unit_test(test_role_config_sealed_round_trips_and_cannot_change),
        cmocka_unit_test(test_role_config_read_unsealed_or_other_is_refused),
        WITH_PAIR(test_role_serve_state_stores_and_reads_back),
        WITH_PAIR(test_role_serve_state_others_and_odd_descriptors_are_denied),
        cmocka_unit_test(test_role_harden_takes_effect),
        cmocka_unit_test(test_role_start_by_hand_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
