/* new_key: what is said when the token refuses, and when a signal waits at that moment. */
#define _GNU_SOURCE
#include "ctl/new_key.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/signals.h"
#include "tests/kit/unit.h"

static err_t answer; /* of the token */
static bool interrupted;
static bool looked;
static char *said;

err_t __wrap_workplace_name_key(const struct workplace *workplace, struct ipc_generate *generate);
err_t __wrap_workplace_find(const struct ctl *ctl, struct workplace *workplace, struct span id,
                            struct ipc_key *ret_key);
err_t __wrap_token_session_generate(struct token_session *session,
                                    const struct ipc_generate *generate, int signal_fd,
                                    FILE *progress, struct ipc_key *ret_key);
void __wrap_token_session_close(struct token_session *session);
err_t __wrap_signals_hold(struct signals *ret_signals);
bool __wrap_signals_wait(const struct signals *signals);

err_t __wrap_workplace_name_key(const struct workplace *workplace, struct ipc_generate *generate)
{
    (void)workplace;
    (void)generate;
    return OK;
}

err_t __wrap_workplace_find(const struct ctl *ctl, struct workplace *workplace, struct span id,
                            struct ipc_key *ret_key)
{
    (void)ctl;
    (void)workplace;
    (void)id;
    (void)ret_key;
    looked = true;
    return FAIL(E_NOT_FOUND, "no key with this CKA_ID is on the token");
}

err_t __wrap_token_session_generate(struct token_session *session,
                                    const struct ipc_generate *generate, int signal_fd,
                                    FILE *progress, struct ipc_key *ret_key)
{
    (void)session;
    (void)generate;
    (void)signal_fd;
    (void)progress;
    (void)ret_key;
    return answer;
}

void __wrap_token_session_close(struct token_session *session)
{
    (void)session;
}

err_t __wrap_signals_hold(struct signals *ret_signals)
{
    ret_signals->fd = -1;
    return OK;
}

bool __wrap_signals_wait(const struct signals *signals)
{
    (void)signals;
    return interrupted;
}

/* What stands on standard error when this is over, or when a signal ends it. */
static const char *made_with(err_t err, bool signal)
{
    size_t len = 0;
    struct workplace workplace = {0};
    struct ipc_generate generate = {0};
    struct ipc_key key;
    free(said);
    struct ctl ctl = {.err = open_memstream(&said, &len)};
    answer = err;
    interrupted = signal;
    looked = false;
    err_t made = new_key_make(&ctl, &workplace, &generate, &key);
    assert_true(failed(made));
    if (!signal) {
        (void)ctl_failed(&ctl, made);
    }
    assert_int_equal(fclose(ctl.err), 0);
    return said;
}

static void test_make_refused_before_anything_was_made_looks_for_nothing(void **state)
{
    (void)state;
    for (int signal = 0; signal < 2; signal++) {
        const char *text = made_with(
            FAIL_DETAIL(E_UNSUPPORTED, IPC_MECHANISM_AES_GCM, "the token lacks it"), signal == 1);
        assert_string_equal(text,
                            "p11-kmsctl: nothing was made: the token says that it does not do "
                            "CKM_AES_GCM, with which a KEK wraps (scheme: aes-gcm)\n");
        assert_false(looked);
        text = made_with(FAIL(E_STATE, "too little notice is left"), signal == 1);
        assert_string_equal(text, "p11-kmsctl: too little notice is left\n");
        assert_false(looked);
    }
}

static void test_make_interrupted_without_an_answer_is_not_known(void **state)
{
    (void)state;
    const char *text = made_with(FAIL(E_DEADLINE, "interrupted"), true);
    assert_non_null(strstr(text, "it is not known whether the KEK was made"));
    assert_false(looked);
}

static void test_make_answer_lost_is_looked_for(void **state)
{
    (void)state;
    assert_non_null(strstr(made_with(FAIL(E_DEADLINE, "lost"), false), "no KEK was made"));
    assert_true(looked);
}

static int teardown(void **state)
{
    (void)state;
    free(said);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make_refused_before_anything_was_made_looks_for_nothing),
        cmocka_unit_test(test_make_interrupted_without_an_answer_is_not_known),
        cmocka_unit_test(test_make_answer_lost_is_looked_for),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
