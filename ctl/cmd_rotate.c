/* rotate: a new KEK that takes over with notice, or at once in an emergency. */
#include <string.h>

#include "base/clock.h"
#include "ctl/new_key.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/ring_empty.h"
#include "ctl/time_text.h"
#include "ctl/workplace.h"
#include "keys/rotate.h"

/* Rows of the staged KEKs which the new one leaves without effect, or does not. */
static void add_staged(const struct ring_view *before, const struct ring_view *made,
                       bool superseded, const char *name, json_t *report)
{
    OWN_JSON *rows = json_array();
    for (size_t i = 0; i < before->n; i++) {
        char text[RING_VIEW_NAME];
        if (!ring_view_staged(before, i) ||
            ring_superseded(made->ring, made->n, &before->ring[i]) != superseded) {
            continue;
        }
        json_t *row = json_object();
        ring_view_name(&before->rows[i], text);
        output_text(row, "key_id", text);
        time_text_write(before->ring[i].not_before, text);
        output_text(row, "active_from", text);
        output_row(rows, row);
    }
    if (json_array_size(rows) > 0) {
        output_member(report, name, json_incref(rows));
    }
}

static err_t add_fates(const struct ctl *ctl, const struct ring_view *before,
                       const struct ipc_key *key, json_t *report)
{
    CLEANUP(ring_view_done) struct ring_view made = {0};
    TRY(ring_view_new(&ctl->config, key, 1, before->now_s, &made));
    add_staged(before, &made, true, "never_takes_over", report);
    add_staged(before, &made, false, "takes_over_too", report);
    return OK;
}

static const char *what_follows(bool at_once, bool has_old)
{
    if (at_once) {
        return "every node picks the new KEK up within 20 s and seals with it from then on";
    }
    return has_old ? "every node picks the new KEK up within 20 s, seals with the old one until "
                     "active_from, then with the new one"
                   : "every node picks the new KEK up within 20 s and seals with it from "
                     "active_from on; until then none can seal (at once: p11-kmsctl rotate --now)";
}

static void add_next_steps(json_t *report, bool at_once, const struct ring_view *before)
{
    output_text(report, "next", what_follows(at_once, before->choice.selected != NULL));
    output_text(report, "then",
                "back up the token; once every API server reports the new key_id, "
                "rewrite the objects (kubectl get secrets -A -o json | kubectl replace -f -)");
    output_text(report, "old",
                before->n == 0
                    ? "no older KEK of the ring is on the token: what they sealed opens only while "
                      "daemons hold its seeds in memory, or once the token is restored"
                    : "the old KEKs stay on the token: they are needed to decrypt");
}

static err_t make(const struct ctl *ctl, struct workplace *workplace,
                  const struct ring_view *before, const struct rotate_plan *plan, int *ret_exit)
{
    OWN_JSON *report = json_object();
    struct ipc_generate generate = {.not_before = plan->not_before,
                                    .min_notice_s = plan->min_notice_s,
                                    .floor_s = plan->floor_s,
                                    .created_s = plan->created_s};
    struct ipc_key key;
    bool good = false;
    TRY(new_key_make(ctl, workplace, &generate, &key));
    output_text(report, "ring", ctl->config.ring);
    TRY(new_key_report(workplace, &key, report, &good));
    TRY(add_fates(ctl, before, &key, report));
    if (good) {
        add_next_steps(report, plan->not_before == 0, before);
    }
    bool printed = output_print(ctl, report);
    *ret_exit = !printed ? CTL_UNTOLD : good ? CTL_OK : CTL_FINDING;
    return OK;
}

/* A rotation that was only forgotten, or asked for twice, must not make a second KEK unseen. */
static bool is_under_way(const struct ctl *ctl, const struct ring_view *view)
{
    bool any = false;
    for (size_t i = 0; i < view->n; i++) {
        char name[RING_VIEW_NAME];
        char from[TIME_TEXT_LEN];
        if (ring_view_staged(view, i)) {
            ring_view_name(&view->rows[i], name);
            time_text_write(view->ring[i].not_before, from);
            (void)fprintf(ctl->err, "p11-kmsctl: KEK %s is staged already, it takes over at %s\n",
                          name, from);
            any = true;
        }
    }
    return any;
}

/* Says the bounds of --at. */
static int refuse_at(const struct ctl *ctl, int64_t at_s, int64_t earliest_s, int64_t now_s)
{
    char at[TIME_TEXT_LEN];
    char from[TIME_TEXT_LEN];
    char until[TIME_TEXT_LEN];
    time_text_write(at_s, at);
    time_text_write(earliest_s, from);
    time_text_write(now_s + (int64_t)RING_HORIZON_S, until);
    (void)fprintf(ctl->err,
                  "p11-kmsctl: nothing was made: --at %s lies not between %s (the earliest that "
                  "activation_delay and the KEK in use allow; sooner: --now) and %s (32 days "
                  "ahead)\n",
                  at, from, until);
    return CTL_USAGE;
}

/* The refusals of keys/rotate in the words of this program: what to do next. */
static err_t advise(err_t refused)
{
    switch ((enum rotate_refusal)refused.detail) {
    case ROTATE_EMPTY:
        return FAIL(E_NOT_FOUND, "the ring has no key on this token: `p11-kmsctl init` makes its "
                                 "first");
    case ROTATE_LOST:
        return FAIL(E_NOT_FOUND, "the KEK that served here is lost or unusable: "
                                 "`p11-kmsctl rotate --now` makes one that takes its place");
    case ROTATE_UNREADABLE:
        return FAIL(E_UNAVAILABLE, "a key of this ring cannot be read: try again, and see "
                                   "`p11-kmsctl keys`. If it stays so, `p11-kmsctl rotate --now` "
                                   "makes another");
    case ROTATE_ALL_AHEAD:
        return FAIL(E_STATE,
                    "every key of the ring becomes active only in the future: set the clock "
                    "of this host, or if it is right, say so with --clock-is-right");
    case ROTATE_CLOCK_DOUBT:
        return FAIL(E_STATE, "the clock is more than 400 days past the ring's newest key: if it is "
                             "right, say so with --clock-is-right");
    }
    return refused;
}

/* What the command line asks for. */
struct asked {
    struct rotate_wish wish;
    bool anyway; /* although another KEK is staged */
};

static err_t rotate(const struct ctl *ctl, struct workplace *workplace, struct asked asked,
                    int *ret_exit)
{
    CLEANUP(ring_view_done) struct ring_view view = {0};
    const struct rotate_wish *wish = &asked.wish;
    struct ring_key remembered;
    struct rotate_plan plan = {0};
    TRY(workplace_view(workplace, &view));
    bool known = false;
    TRY(ring_remembered(workplace, &remembered, &known));
    if (view.n + view.broken_labels + view.unnamed == 0 && !(known && wish->now)) {
        *ret_exit = CTL_FINDING;
        return ring_empty_say(ctl, workplace);
    }
    const struct rotate_facts facts = {.keys = view.ring,
                                       .n = view.n,
                                       .unnamed = view.unnamed,
                                       .broken_labels = view.broken_labels,
                                       .remembered = known ? &remembered : NULL,
                                       .now_s = view.now_s};
    err_t err = rotate_plan(&facts, wish, &plan);
    if (err.code == E_INVALID && wish->at_s != 0 && plan.earliest_s != 0) {
        *ret_exit = refuse_at(ctl, wish->at_s, plan.earliest_s, view.now_s);
        return OK;
    }
    TRY(failed(err) ? advise(err) : OK);
    if (!wish->now && !asked.anyway && is_under_way(ctl, &view)) {
        (void)fprintf(ctl->err,
                      "p11-kmsctl: nothing was made. For one more all the same: --anyway; "
                      "for one that takes over at once, and from what is staged: --now\n");
        *ret_exit = CTL_FINDING;
        return OK;
    }
    return make(ctl, workplace, &view, &plan, ret_exit);
}

int ctl_rotate(struct ctl *ctl)
{
    struct asked asked = {.wish = {.delay_s = ctl->config.activation_delay_s}};
    struct rotate_wish *wish = &asked.wish;
    const char *at = NULL;
    const struct option_flag flags[] = {
        {"--at", NULL, &at},
        {"--now", &wish->now, NULL},
        {"--anyway", &asked.anyway, NULL},
        {"--clock-is-right", &wish->clock_is_right, NULL},
    };
    if (!options_command(ctl, flags, sizeof(flags) / sizeof(flags[0]), NULL)) {
        return CTL_USAGE;
    }
    if (at != NULL && (wish->now || failed(time_text_parse(at, &wish->at_s)) || wish->at_s == 0)) {
        (void)fprintf(ctl->err,
                      "p11-kmsctl: --at wants Unix seconds or 2026-01-31T12:00:00Z, and no "
                      "--now beside it: %s\n",
                      at);
        return CTL_USAGE;
    }
    int64_t now_s = clock_real_s();
    /* no login is needed to see that */
    if (at != NULL && wish->at_s < now_s + (int64_t)wish->delay_s) {
        return refuse_at(ctl, wish->at_s, now_s + (int64_t)wish->delay_s, now_s);
    }
    int code = CTL_FAILED;
    CLEANUP(workplace_close) struct workplace workplace = {.state = {.fd = -1}};
    err_t err = workplace_open(ctl, &workplace);
    if (!failed(err)) {
        err = rotate(ctl, &workplace, asked, &code);
    }
    return failed(err) ? ctl_failed(ctl, err) : code;
}
