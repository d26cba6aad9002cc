#include "server/supervisor/pulse.h"

#include "tests/kit/unit.h"

static void look(struct pulse *pulse, int64_t *now_ms, enum pulse_verdict wanted)
{
    assert_int_equal(pulse_look(pulse, *now_ms), wanted);
    *now_ms += PULSE_LOOK_MS;
}

static void test_pulse_silence_of_eight_looks_is_a_hang_and_seven_are_none(void **state)
{
    (void)state;
    struct pulse pulse = {0};
    int64_t now_ms = 5000;
    look(&pulse, &now_ms, PULSE_ASK);
    pulse_answered(&pulse);
    for (int turn = 0; turn < 2; turn++) {
        look(&pulse, &now_ms, PULSE_ASK);
        for (int i = 1; i < PULSE_LOOKS; i++) {
            look(&pulse, &now_ms, PULSE_ASK);
        }
        if (turn == 0) {
            pulse_answered(&pulse); /* at the last moment */
        }
    }
    look(&pulse, &now_ms, PULSE_HUNG);
    for (int i = 1; i < PULSE_LOOKS; i++) {
        look(&pulse, &now_ms, PULSE_ASK);
    }
    look(&pulse, &now_ms, PULSE_HUNG);
}

static void test_pulse_of_one_who_speaks_is_no_hang_and_its_silence_counts_from_then(void **state)
{
    (void)state;
    struct pulse pulse = {0};
    int64_t now_ms = 0;
    look(&pulse, &now_ms, PULSE_ASK);
    pulse_answered(&pulse);
    look(&pulse, &now_ms, PULSE_ASK);
    for (int i = 0; i < 100; i++) {
        look(&pulse, &now_ms, PULSE_ASK);
        pulse_heard(&pulse);
    }
    for (int i = 1; i < PULSE_LOOKS; i++) {
        look(&pulse, &now_ms, PULSE_ASK);
    }
    look(&pulse, &now_ms, PULSE_HUNG);
}

static void test_pulse_time_in_which_we_slept_counts_once(void **state)
{
    (void)state;
    struct pulse pulse = {0};
    int64_t now_ms = 0;
    look(&pulse, &now_ms, PULSE_ASK);
    pulse_answered(&pulse);
    look(&pulse, &now_ms, PULSE_ASK);
    now_ms += 3600 * 1000;
    look(&pulse, &now_ms, PULSE_ASK);
    assert_int_equal(pulse.in_vain, 1);
}

static void test_pulse_first_answer_may_come_late(void **state)
{
    (void)state;
    struct pulse pulse = {0};
    int64_t now_ms = 0;
    look(&pulse, &now_ms, PULSE_ASK);
    for (int i = 1; i < PULSE_LOOKS_FIRST; i++) {
        look(&pulse, &now_ms, PULSE_ASK);
    }
    look(&pulse, &now_ms, PULSE_HUNG);
}

static void test_pulse_before_its_time_does_nothing(void **state)
{
    (void)state;
    struct pulse pulse = {0};
    assert_int_equal(pulse_look(&pulse, 1000), PULSE_ASK);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(pulse_look(&pulse, 1000 + PULSE_LOOK_MS - 1), PULSE_WAIT);
    }
    assert_int_equal(pulse.in_vain, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pulse_silence_of_eight_looks_is_a_hang_and_seven_are_none),
        cmocka_unit_test(test_pulse_of_one_who_speaks_is_no_hang_and_its_silence_counts_from_then),
        cmocka_unit_test(test_pulse_time_in_which_we_slept_counts_once),
        cmocka_unit_test(test_pulse_first_answer_may_come_late),
        cmocka_unit_test(test_pulse_before_its_time_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
