/*
 * The order of a login: what stands on disk at the moment of C_Login, with a module and a keeper of
 * the test's own.
 */
#include "pkcs11/pin_login.h"

#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/own.h"
#include "base/role.h"
#include "pkcs11/pin_hash.h"
#include "tests/kit/unit.h"

#define SERIAL     "0123456789abcdef"
#define SERIAL_HEX "30313233343536373839616263646566"

/* A file as the keeper has it. */
struct file {
    uint8_t bytes[PIN_RECORD_BYTES];
    size_t len;
    bool there;
};

static struct {
    struct file own; /* of the token */
    struct file any; /* without a part */
    bool full;       /* nothing can be written */
    unsigned room;   /* so many more can be written, then it is full */
} disk;

static struct file *file_of(enum state_file file, const char *part)
{
    assert_int_equal(file, STATE_PIN);
    if (part == NULL) {
        return &disk.any;
    }
    assert_string_equal(part, SERIAL_HEX);
    return &disk.own;
}

static struct {
    unsigned logins;
    CK_RV says;
    char pin[32];
    struct pin_record found;  /* on disk at the last C_Login */
    bool locked;              /* at the last C_Login */
    struct pin_record hashed; /* on disk at the last hash of a PIN */
} module_state;

err_t __wrap_role_get_state_wait(int control_fd, enum state_file file, const char *part,
                                 struct span_mut room, size_t *ret_len);
err_t __wrap_role_put_state_wait(int control_fd, enum state_file file, const char *part,
                                 struct span bytes);
int __wrap_PKCS5_PBKDF2_HMAC(const char *pass, int pass_len, const unsigned char *salt,
                             int salt_len, int rounds, const EVP_MD *digest, int len,
                             unsigned char *out);

err_t __wrap_role_get_state_wait(int control_fd, enum state_file file, const char *part,
                                 struct span_mut room, size_t *ret_len)
{
    (void)control_fd;
    const struct file *found = file_of(file, part);
    if (!found->there) {
        return FAIL(E_NOT_FOUND, "no record");
    }
    assert_true(span_copy(room, span_of(found->bytes, found->len)));
    *ret_len = found->len;
    return OK;
}

err_t __wrap_role_put_state_wait(int control_fd, enum state_file file, const char *part,
                                 struct span bytes)
{
    (void)control_fd;
    struct file *kept = file_of(file, part);
    if (disk.full || disk.room == 0) {
        return FAIL_DETAIL(E_SYSTEM, ENOSPC, "no space");
    }
    disk.room--;
    assert_true(span_copy(span_mut_of(kept->bytes, sizeof(kept->bytes)), bytes));
    kept->len = bytes.len;
    kept->there = true;
    return OK;
}

static struct pin_record on_disk(void)
{
    struct pin_record record;
    pin_record_parse(span_of(disk.own.bytes, disk.own.len), SERIAL, &record);
    return record;
}

/* As good as the real one for telling values apart, without its third of a second. */
int __wrap_PKCS5_PBKDF2_HMAC(const char *pass, int pass_len, const unsigned char *salt,
                             int salt_len, int rounds, const EVP_MD *digest, int len,
                             unsigned char *out)
{
    (void)salt;
    (void)salt_len;
    (void)digest;
    assert_int_equal(rounds, PIN_HASH_ROUNDS);
    module_state.hashed = on_disk();
    memset(out, 0, (size_t)len);
    memcpy(out, pass, (size_t)pass_len);
    return 1;
}

/* What the token says of its PINs. */
static CK_FLAGS pin_flags;

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info)
{
    (void)slot;
    memset(info, ' ', sizeof(*info));
    memcpy(info->label, "test", 4);
    memcpy(info->serialNumber, SERIAL, 16);
    info->flags = CKF_TOKEN_INITIALIZED | pin_flags;
    return CKR_OK;
}

static struct config_token config;

/* The PIN's file stands in for pin.lock: would another process have to wait for it now? */
static bool others_wait(void)
{
    OWN_FD fd = open(config.pin_file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return flock(fd, LOCK_EX | LOCK_NB) != 0;
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG len)
{
    (void)session;
    assert_int_equal(user, CKU_USER);
    (void)snprintf(module_state.pin, sizeof(module_state.pin), "%.*s", (int)len, (const char *)pin);
    module_state.logins++;
    module_state.locked = others_wait();
    module_state.found = on_disk();
    return module_state.says;
}

static CK_FUNCTION_LIST functions = {.C_GetTokenInfo = token_info, .C_Login = login};
static const struct module module = {.fn = &functions, .initialised = true};
static const struct token token = {.label = "test", .serial = SERIAL};
static const struct session session = {.module = &module, .token = &token, .open = true};
static atomic_bool ending;
static struct pin_guard guard;

static void write_pin(const char *pin)
{
    FILE *file = fopen(config.pin_file, "we");
    assert_non_null(file);
    assert_true(fprintf(file, "%s\n", pin) > 0);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void)state;
    disk.own.there = disk.any.there = disk.full = false;
    disk.own.len = disk.any.len = 0;
    disk.room = UINT_MAX;
    module_state.logins = 0;
    module_state.says = CKR_OK;
    pin_flags = 0;
    config = (struct config_token){.start_timeout_s = 20};
    (void)snprintf(config.pin_file, sizeof(config.pin_file), "%s", "/tmp/p11-kms-pin-test-XXXXXX");
    int fd = mkstemp(config.pin_file);
    assert_true(fd >= 0);
    guard = (struct pin_guard){.config = &config,
                               .state_dir = "/state",
                               .control_fd = -1,
                               .lock_fd = fd,
                               .ending = &ending};
    write_pin("1234");
    return failed(secret_init(&secret_budget_token)) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(secret_in_use(SECRET_PIN), 0);
    assert_true(secret_free_space_is_zero());
    secret_done();
    (void)close(guard.lock_fd);
    return unlink(config.pin_file);
}

static char why[512];

static err_t try_login(void)
{
    return pin_login(&guard, &session, why, sizeof(why));
}

static void test_login_intent_stands_on_disk_before_the_token_is_asked(void **state)
{
    (void)state;
    assert_ok(try_login());
    assert_int_equal(module_state.logins, 1);
    assert_string_equal(module_state.pin, "1234");
    assert_true(module_state.found.token.pending);
}

static void test_login_holds_the_lock_until_its_end_is_written(void **state)
{
    (void)state;
    assert_ok(try_login());
    assert_true(module_state.locked);
    assert_false(others_wait());
    module_state.says = CKR_PIN_INCORRECT;
    write_pin("5678");
    assert_fails(try_login(), E_STATE);
    assert_true(module_state.locked);
    assert_false(others_wait());
}

static void test_login_that_succeeded_leaves_the_file_as_good(void **state)
{
    (void)state;
    assert_ok(try_login());
    struct pin_record record = on_disk();
    assert_true(record.token.known && record.token.good.known);
    assert_false(record.token.pending);
    assert_int_equal(record.failed_n, 0);
}

static void test_login_intent_that_cannot_be_kept_asks_the_token_nothing(void **state)
{
    (void)state;
    disk.full = true;
    assert_true(failed(try_login()));
    assert_int_equal(module_state.logins, 0);
    assert_non_null(strstr(why, "/state"));
    assert_non_null(strstr(why, "No space left on device"));
    disk.full = false;
    assert_ok(try_login());
    assert_int_equal(module_state.logins, 1);
}

static void test_login_with_a_proven_file_needs_no_room_on_the_disk(void **state)
{
    (void)state;
    assert_ok(try_login());
    disk.full = true;
    assert_ok(try_login());
    assert_int_equal(module_state.logins, 2);
    /* But for a token that counts wrong PINs: it may be this one by now. */
    pin_flags = CKF_USER_PIN_COUNT_LOW;
    assert_true(failed(try_login()));
    pin_flags = 0;
    write_pin("5678");
    assert_true(failed(try_login()));
    assert_int_equal(module_state.logins, 2);
}

static void test_login_refused_value_is_kept_as_failed_and_not_tried_again(void **state)
{
    (void)state;
    module_state.says = CKR_PIN_INCORRECT;
    assert_fails(try_login(), E_STATE);
    assert_int_equal(module_state.hashed.failed_n, 1); /* a kill within the hash leaves no doubt */
    struct pin_record record = on_disk();
    assert_int_equal(record.failed_n, 1);
    assert_true(record.failed[0].has_hash);
    assert_fails(try_login(), E_STATE);
    assert_int_equal(module_state.logins, 1);
    module_state.says = CKR_OK;
    write_pin("5678");
    assert_ok(try_login());
    assert_string_equal(module_state.pin, "5678");
    assert_int_equal(on_disk().failed_n, 0);
}

/* Correcting it would be the wrong advice. */
static void test_login_answered_with_locked_or_expired_says_so(void **state)
{
    (void)state;
    module_state.says = CKR_PIN_LOCKED;
    assert_fails(try_login(), E_STATE);
    assert_non_null(strstr(why, "unlock it"));
    write_pin("5678");
    module_state.says = CKR_PIN_EXPIRED;
    assert_fails(try_login(), E_STATE);
    assert_non_null(strstr(why, "expired"));
}

/* ---- which file ---- */

static void keep(struct file *file, const struct pin_record *record)
{
    struct span_mut room = span_mut_of(file->bytes, sizeof(file->bytes));
    assert_ok(pin_record_write(record, SERIAL, room, &file->len));
    file->there = true;
}

/* An earlier build kept every token in it, and is put back in place now and then. */
static void test_login_honours_what_an_earlier_build_wrote_and_leaves_no_hash(void **state)
{
    (void)state;
    struct pin_record earlier;
    module_state.says = CKR_PIN_INCORRECT;
    assert_fails(try_login(), E_STATE);
    disk.any = disk.own;
    disk.own.there = false;
    assert_fails(try_login(), E_STATE);
    assert_non_null(strstr(why, "refused this PIN before"));
    assert_int_equal(module_state.logins, 1);
    assert_true(disk.own.there);
    assert_int_equal(on_disk().failed_n, 1);
    module_state.says = CKR_OK;
    write_pin("5678");
    assert_ok(try_login());
    pin_record_parse(span_of(disk.any.bytes, disk.any.len), SERIAL, &earlier);
    assert_int_equal(earlier.failed_n, 0);
    /* What it says of this token is outdated now. */
    write_pin("1234");
    assert_ok(try_login());
}

static void order(struct file *file)
{
    file->there = true;
    file->len = 0;
}

/* On this token others have been wrong: only an order lets an unproven PIN pass. */
static void test_login_order_for_any_token_is_carried_out_once(void **state)
{
    (void)state;
    pin_flags = CKF_USER_PIN_COUNT_LOW;
    order(&disk.any);
    module_state.says = CKR_DEVICE_ERROR;
    assert_fails(try_login(), E_UNAVAILABLE);
    assert_int_equal(module_state.logins, 1);
    assert_true(disk.any.len > 0);
    disk.own.there = false; /* whatever becomes of it, and for another token */
    assert_fails(try_login(), E_STATE);
    assert_int_equal(module_state.logins, 1);
}

/* A kill between the two stores, as good as a disk that is full by then. */
static void test_login_order_cut_short_costs_no_second_try_of_this_token(void **state)
{
    (void)state;
    pin_flags = CKF_USER_PIN_COUNT_LOW;
    order(&disk.any);
    disk.room = 1;
    module_state.says = CKR_DEVICE_ERROR;
    assert_fails(try_login(), E_UNAVAILABLE);
    assert_int_equal(disk.any.len, 0);
    disk.room = UINT_MAX;
    assert_fails(try_login(), E_STATE);
    assert_int_equal(module_state.logins, 1);
}

/* ---- */

/* A process that died inside C_Login: what it found is what the next one finds. */
static void test_login_cut_short_twice_is_not_tried_a_third_time(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 2; i++) {
        assert_ok(try_login());
        assert_int_equal(module_state.logins, i);
        assert_true(module_state.found.token.pending);
        assert_int_equal(module_state.found.token.cut, i - 1);
        keep(&disk.own, &module_state.found);
    }
    assert_fails(try_login(), E_STATE);
    assert_int_equal(module_state.logins, 2);
}

#define PIN_TEST(test_) cmocka_unit_test_setup_teardown(test_, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PIN_TEST(test_login_intent_stands_on_disk_before_the_token_is_asked),
        PIN_TEST(test_login_holds_the_lock_until_its_end_is_written),
        PIN_TEST(test_login_that_succeeded_leaves_the_file_as_good),
        PIN_TEST(test_login_intent_that_cannot_be_kept_asks_the_token_nothing),
        PIN_TEST(test_login_with_a_proven_file_needs_no_room_on_the_disk),
        PIN_TEST(test_login_refused_value_is_kept_as_failed_and_not_tried_again),
        PIN_TEST(test_login_answered_with_locked_or_expired_says_so),
        PIN_TEST(test_login_cut_short_twice_is_not_tried_a_third_time),
        PIN_TEST(test_login_honours_what_an_earlier_build_wrote_and_leaves_no_hash),
        PIN_TEST(test_login_order_for_any_token_is_carried_out_once),
        PIN_TEST(test_login_order_cut_short_costs_no_second_try_of_this_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
