#include "tests/token/pin_fixture.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/kit/unit.h"

#define PATIENCE_MS 60000

int set_up(void **state)
{
    static struct fixture fixture;
    fixture.rig = rig_new_softhsm();
    rig_use_shim(fixture.rig);
    rig_read(fixture.rig, "token/pin", fixture.right, sizeof(fixture.right));
    *state = &fixture;
    return 0;
}

int tear_down(void **state)
{
    struct fixture *fixture = *state;
    rig_free(fixture->rig);
    return 0;
}

void refuse_once(struct fixture *fixture)
{
    rig_write(fixture->rig, "token/pin", "wrong-pin\n");
    rig_start(fixture->rig);
    struct ipc_status status = rig_wait_phase(fixture->rig, IPC_PHASE_PIN, 15000);
    assert_non_null(strstr(status.text, "correct"));
    assert_int_equal(status.logins, 1);
}

void succeed_once(struct fixture *fixture)
{
    rig_start_ready(fixture->rig);
    (void)rig_stop(fixture->rig);
}

void wait_logins(struct fixture *fixture, unsigned n)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    while (rig_shim_count(fixture->rig, "C_Login") < n) {
        assert_true(clock_mono_ms() < until_ms);
        (void)rig_status(fixture->rig);
        usleep(5 * 1000);
    }
}

void wait_text(struct fixture *fixture, const char *text)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    for (;;) {
        struct ipc_status status = rig_status(fixture->rig);
        if (strstr(status.text, text) != NULL) {
            return;
        }
        if (clock_mono_ms() >= until_ms) {
            fail_msg("not \"%s\" but: %s", text, status.text);
        }
        usleep(20 * 1000);
    }
}

const char *record_name(struct fixture *fixture)
{
    static char name[64];
    char path[256];
    glob_t found = {0};
    (void)snprintf(name, sizeof(name), "state/pin"); /* where there is none for the token */
    rig_path(fixture->rig, "state/pin.[0-9a-f]*", path, sizeof(path));
    if (glob(path, 0, NULL, &found) == 0) {
        assert_int_equal(found.gl_pathc, 1);
        (void)snprintf(name, sizeof(name), "state%s", strrchr(found.gl_pathv[0], '/'));
    }
    globfree(&found);
    return name;
}

void wait_refused(struct fixture *fixture)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    for (;;) {
        struct pin_record record = record_of(fixture);
        if (record.failed_n == 1 && record.failed[0].has_hash) {
            return;
        }
        assert_true(clock_mono_ms() < until_ms);
        (void)rig_status(fixture->rig);
        usleep(20 * 1000);
    }
}

struct pin_record record_of(struct fixture *fixture)
{
    char text[PIN_RECORD_BYTES];
    char serial[PIN_RECORD_SERIAL + 1] = "";
    struct pin_record record;
    const char *name = record_name(fixture);
    rig_read(fixture->rig, name, text, sizeof(text));
    const char *hex = strchr(name, '.');
    for (size_t i = 0; hex != NULL && i < PIN_RECORD_SERIAL && hex[1 + 2 * i] != '\0'; i++) {
        char byte[] = {hex[1 + 2 * i], hex[2 + 2 * i], '\0'};
        serial[i] = (char)strtol(byte, NULL, 16);
    }
    pin_record_parse(span_of_text(text), serial, &record);
    return record;
}

static void blocker(struct fixture *fixture, char *path, size_t path_len)
{
    rig_path(fixture->rig, "state/.new", path, path_len);
}

void block_state(struct fixture *fixture)
{
    char path[256];
    blocker(fixture, path, sizeof(path));
    assert_int_equal(mkdir(path, 0700), 0);
}

void unblock_state(struct fixture *fixture)
{
    char path[256];
    blocker(fixture, path, sizeof(path));
    assert_int_equal(rmdir(path), 0);
}
