/* rotate: a new KEK that takes over with notice, or at once in an emergency. */
#include <string.h>

#include "ctl/new_key.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/rotate_plan.h"
#include "ctl/time_text.h"
#include "ctl/workplace.h"

#define CURRENT_MAX 1024u

static bool remembered(const struct workplace *workplace, struct state_current *ret_current)
{
    uint8_t bytes[CURRENT_MAX];
    size_t len = 0;
    err_t err =
        state_read(&workplace->state, STATE_CURRENT, span_mut_of(bytes, sizeof(bytes)), &len);
    if (failed(err)) {
        return false;
    }
    return !failed(state_current_parse(span_of(bytes, len), ret_current));
}

static void add_next_steps(json_t *report, bool at_once)
{
    output_text(report, "next",
                at_once
                    ? "every node picks the new KEK up within 20 s and seals with it from then on"
                    : "every node picks the new KEK up within 20 s, seals with the old one until "
                      "active_from, then with the new one");
    output_text(report, "then",
                "back up the token; once every API server reports the new key_id, "
                "rewrite the objects (kubectl get secrets -A -o json | kubectl replace "
                "-f -). The old KEK stays on the token: it is needed to decrypt");
}

static err_t make(const struct ctl *ctl, const struct workplace *workplace,
                  const struct rotate_plan *plan, int *ret_exit)
{
    OWN_JSON *report = json_object();
    struct ipc_generate generate = {.not_before = plan->not_before,
                                    .min_notice_s = plan->min_notice_s,
                                    .floor_s = plan->floor_s};
    struct ipc_key key;
    bool good = false;
    TRY(workplace_generate(workplace, &generate, &key));
    output_text(report, "ring", ctl->config.ring);
    TRY(new_key_report(workplace, &key, report, &good));
    add_next_steps(report, plan->not_before == 0);
    bool printed = output_print(ctl, report);
    *ret_exit = !printed ? CTL_FAILED : good ? CTL_OK : CTL_FINDING;
    return OK;
}

static err_t rotate(const struct ctl *ctl, const struct workplace *workplace,
                    const struct rotate_wish *wish, int *ret_exit)
{
    CLEANUP(ring_view_done) struct ring_view view = {0};
    struct state_current current;
    struct rotate_plan plan;
    TRY(workplace_view(workplace, &view));
    bool known = remembered(workplace, &current);
    TRY(rotate_plan(&view, known ? &current : NULL, wish, &plan));
    return make(ctl, workplace, &plan, ret_exit);
}

int ctl_rotate(struct ctl *ctl)
{
    struct rotate_wish wish = {.delay_s = ctl->config.activation_delay_s};
    const char *at = NULL;
    const struct option_flag flags[] = {
        {"--at", NULL, &at},
        {"--now", &wish.now, NULL},
        {"--clock-is-right", &wish.clock_is_right, NULL},
    };
    if (!options_command(ctl, flags, 3, NULL)) {
        return CTL_USAGE;
    }
    if (at != NULL && (wish.now || failed(time_text_parse(at, &wish.at_s)) || wish.at_s == 0)) {
        (void)fprintf(ctl->err,
                      "p11-kmsctl: --at wants Unix seconds or 2026-01-31T12:00:00Z, and no "
                      "--now beside it: %s\n",
                      at);
        return CTL_USAGE;
    }
    int code = CTL_FAILED;
    CLEANUP(workplace_close) struct workplace workplace = {.state = {.fd = -1}};
    err_t err = workplace_open(ctl, &workplace);
    if (!failed(err)) {
        err = rotate(ctl, &workplace, &wish, &code);
    }
    return failed(err) ? ctl_failed(ctl, err) : code;
}
