#define _GNU_SOURCE
#include "server/supervisor/listener.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/own.h"
#include "tests/kit/unit.h"

struct fixture {
    char folder[64];
    struct config_listen config;
    struct listener listener;
    struct problem problem;
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.config = {.mode = 0600, .owner = CONFIG_ID_OWN, .group = CONFIG_ID_OWN},
                         .listener = {.fd = -1, .folder_fd = -1}};
    (void)snprintf(f.folder, sizeof(f.folder), "/tmp/p11kms-listen-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    (void)snprintf(f.config.socket, sizeof(f.config.socket), "%s/kms.sock", f.folder);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    listener_close(&f->listener);
    (void)unlink(f->config.socket);
    return rmdir(f->folder);
}

static void refused(struct fixture *f, int exit_code, const char *word)
{
    err_t err = listener_open(&f->config, &f->listener, &f->problem);
    assert_true(failed(err));
    assert_int_equal(f->listener.fd, -1);
    assert_int_equal(f->problem.exit_code, exit_code);
    assert_non_null(strstr(f->problem.text, word));
}

static void test_listener_open_makes_and_close_removes(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    f->config.mode = 0660;
    assert_ok(listener_open(&f->config, &f->listener, &f->problem));
    assert_int_equal(stat(f->config.socket, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    listener_close(&f->listener);
    assert_int_equal(access(f->config.socket, F_OK), -1);
}

static void test_listener_open_path_at_and_past_the_limit(void **state)
{
    struct fixture *f = *state;
    size_t len = strlen(f->folder);
    (void)snprintf(f->config.socket, sizeof(f->config.socket), "%s/%0*d", f->folder,
                   (int)(107 - len - 1), 0);
    assert_int_equal(strlen(f->config.socket), 107);
    assert_ok(listener_open(&f->config, &f->listener, &f->problem));
    listener_close(&f->listener);
    (void)snprintf(f->config.socket, sizeof(f->config.socket), "%s/%0*d", f->folder,
                   (int)(108 - len - 1), 0);
    refused(f, EXIT_CONFIG, "107");
}

static void test_listener_open_folder_of_others_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chmod(f->folder, 0720), 0);
    refused(f, EXIT_CONFIG, "0720");
    assert_int_equal(chmod(f->folder, 01702), 0);
    refused(f, EXIT_CONFIG, "1702");
    assert_int_equal(chmod(f->folder, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(f->folder, 65534, 65534), 0);
        refused(f, EXIT_CONFIG, "65534");
        assert_int_equal(chown(f->folder, 0, 0), 0);
    }
}

static void test_listener_open_what_is_no_stream_socket_stays(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(symlink("/nowhere", f->config.socket), 0);
    refused(f, EXIT_CONFIG, "left alone");
    assert_int_equal(unlink(f->config.socket), 0);
    assert_int_equal(mkfifo(f->config.socket, 0600), 0);
    refused(f, EXIT_CONFIG, "left alone");
    assert_int_equal(unlink(f->config.socket), 0);
    OWN_FD other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.107s", f->config.socket);
    assert_int_equal(bind(other, (const struct sockaddr *)&address, sizeof(address)), 0);
    refused(f, EXIT_CONFIG, "left alone");
}

static void test_listener_open_stale_is_replaced_and_live_is_not(void **state)
{
    struct fixture *f = *state;
    struct listener first = {.fd = -1, .folder_fd = -1};
    assert_ok(listener_open(&f->config, &first, &f->problem));
    refused(f, EXIT_BUSY, f->config.socket);
    /* Still open, so that its inode cannot be the next one's. */
    assert_int_equal(shutdown(first.fd, SHUT_RDWR), 0);
    assert_ok(listener_open(&f->config, &f->listener, &f->problem));
    listener_close(&first); /* another's socket lies there now: it stays */
    assert_int_equal(access(f->config.socket, F_OK), 0);
}

static void test_listener_open_abstract_name_is_exact(void **state)
{
    struct fixture *f = *state;
    (void)snprintf(f->config.socket, sizeof(f->config.socket), "@p11kms-test-%d", (int)getpid());
    assert_ok(listener_open(&f->config, &f->listener, &f->problem));
    struct sockaddr_un address;
    socklen_t len = sizeof(address);
    assert_int_equal(getsockname(f->listener.fd, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(len, offsetof(struct sockaddr_un, sun_path) + strlen(f->config.socket));
    struct listener second = {.fd = -1, .folder_fd = -1};
    assert_fails(listener_open(&f->config, &second, &f->problem), E_STATE);
    assert_int_equal(f->problem.exit_code, EXIT_BUSY);
    (void)snprintf(f->config.socket, sizeof(f->config.socket), "@");
    assert_fails(listener_open(&f->config, &second, &f->problem), E_INVALID);
}

static void test_listener_open_other_owner_needs_root(void **state)
{
    struct fixture *f = *state;
    f->config.owner = 65534;
    f->config.group = 65534;
    if (geteuid() != 0) {
        refused(f, EXIT_CONFIG, "socket activation");
        return;
    }
    struct stat st;
    assert_ok(listener_open(&f->config, &f->listener, &f->problem));
    assert_int_equal(stat(f->config.socket, &st), 0);
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(st.st_gid, 65534);
}

static void test_listener_is_there_until_it_is_removed_or_replaced(void **state)
{
    struct fixture *f = *state;
    assert_ok(listener_open(&f->config, &f->listener, &f->problem));
    assert_true(listener_is_there(&f->config, &f->listener));
    assert_int_equal(unlink(f->config.socket), 0);
    assert_false(listener_is_there(&f->config, &f->listener));
    int old_fd = f->listener.fd;
    assert_ok(listener_bind_again(&f->config, &f->listener, &f->problem));
    assert_true(listener_is_there(&f->config, &f->listener));
    assert_int_not_equal(fcntl(f->listener.fd, F_GETFD), -1);
    assert_int_not_equal(old_fd, -1);
    assert_int_equal(unlink(f->config.socket), 0);
    assert_int_equal(mkfifo(f->config.socket, 0600), 0);
    assert_false(listener_is_there(&f->config, &f->listener));
    assert_true(failed(listener_bind_again(&f->config, &f->listener, &f->problem)));
    assert_non_null(strstr(f->problem.text, "left alone"));
    assert_int_not_equal(fcntl(f->listener.fd, F_GETFD), -1); /* the old one stays */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_listener_open_makes_and_close_removes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_listener_open_path_at_and_past_the_limit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_listener_open_folder_of_others_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_listener_open_what_is_no_stream_socket_stays, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_listener_open_stale_is_replaced_and_live_is_not,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_listener_open_abstract_name_is_exact, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_listener_is_there_until_it_is_removed_or_replaced,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_listener_open_other_owner_needs_root, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
