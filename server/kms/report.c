#include "server/kms/report.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/state.h"

#define PUT_HEALTH_MS 20000
#define PUT_STALE_MS  1000 /* a new state is written at once, a new mend or key_id in this pace */

void report_init(struct report *report, const struct kms_outputs *outputs)
{
    *report = (struct report){.outputs = *outputs};
}

void report_remember(struct report *report, struct span bytes)
{
    struct state_health record;
    err_t err = state_health_parse(bytes, &record);
    if (failed(err)) {
        log_event(EVENT_STATE_IGNORED, LOG_TEXT("file", "health"), LOG_ERR(err));
        return;
    }
    report->hard_remembered = strcmp(record.state, "HARD") == 0;
    report->outage_s = record.outage_s;
}

void report_proven(struct report *report)
{
    report->hard_remembered = false;
}

void report_rewrite(struct report *report)
{
    report->stale = true;
}

struct health_policy report_policy(const struct config *config)
{
    struct health_policy policy = {.coast_ms = (int64_t)config->coast_s * 1000,
                                   .soft_ms = (int64_t)config->soft_max_s * 1000};
    if (config->on_token_loss != CONFIG_LOSS_COAST) {
        policy.coast_ms = 0;
    }
    if (config->on_token_loss == CONFIG_LOSS_HARD) {
        policy.soft_ms = 0;
        policy.hard_on_loss = true;
    }
    return policy;
}

struct health_facts report_health(const struct report *report, const struct rotation_view *view,
                                  int64_t proof_age_ms, int64_t real_s)
{
    return (struct health_facts){
        .proof_age_ms = proof_age_ms,
        .bad_verdict = view->verdict != ROTATION_FINE,
        .hard_remembered = report->hard_remembered,
        .older_than_remembered = view->older_than_remembered,
        .key_remembered = view->has_remembered,
        .outage_remembered_ms = report->outage_s == 0 ? -1 : (real_s - report->outage_s) * 1000,
    };
}

/* When the running outage began: with the last proof, or before this process, or with it. */
static int64_t outage_since_s(const struct report *report, const struct report_facts *facts,
                              int64_t real_s)
{
    if (facts->mend.state == HEALTH_OK) {
        return 0;
    }
    if (facts->proof_age_ms >= 0) {
        return real_s - facts->proof_age_ms / 1000;
    }
    return report->outage_s != 0 ? report->outage_s : real_s;
}

static void put_health(struct report *report, const char *mend, struct times now)
{
    struct state_health record = {
        .since_s = report->since_s, .outage_s = report->outage_s, .written_s = now.real_s};
    (void)snprintf(record.state, sizeof(record.state), "%s", health_state_name(report->state));
    (void)snprintf(record.mend, sizeof(record.mend), "%s", mend);
    (void)snprintf(record.key_id, sizeof(record.key_id), "%s", report->key_id);
    uint8_t room[1024];
    size_t len = 0;
    if (!failed(state_health_write(&record, span_mut_of(room, sizeof(room)), &len))) {
        (void)report->outputs.put_state(report->outputs.ctx, STATE_HEALTH, span_of(room, len));
    }
    report->put_ms = now.boot_ms;
    report->stale = false;
}

static void say_state(const struct report *report, enum health_state state, const char *mend)
{
    const char *from = report->said ? health_state_name(report->state) : "-";
    enum log_level level = state == HEALTH_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARN;
    const struct log_field fields[] = {
        LOG_TEXT("from", from), LOG_TEXT("to", health_state_name(state)), LOG_TEXT("mend", mend)};
    log_event_write(level, EVENT_STATE_CHANGED, fields, sizeof(fields) / sizeof(fields[0]));
}

/* True: it is another one. */
static bool take_state(struct report *report, enum health_state state, const char *mend,
                       int64_t real_s)
{
    if (report->said && state == report->state) {
        return false;
    }
    say_state(report, state, mend);
    (void)snprintf(report->mend, sizeof(report->mend), "%s", mend);
    report->said = true;
    report->state = state;
    report->since_s = real_s;
    return true;
}

/* What deserves a look although the state may be OK; each is said when it begins. */
static void say_alarms(struct report *report, const struct rotation_view *view)
{
    const struct {
        bool on;
        const char *text;
    } alarms[] = {
        {view->alarm_unproven, "the selected KEK could not be proven for 60 s"},
        {view->alarm_horizon, "a KEK is ignored: its not-before is more than 32 days ahead"},
        {view->alarm_unknown_above,
         "a KEK that could not be read ranks above the best readable one"},
        {view->clock_suspect, "every KEK of the ring becomes active only in the future"},
    };
    for (size_t i = 0; i < sizeof(alarms) / sizeof(alarms[0]); i++) {
        unsigned bit = 1u << i;
        if (alarms[i].on && (report->alarms & bit) == 0) {
            log_event(EVENT_ALARM, LOG_TEXT("text", alarms[i].text));
        }
        report->alarms = alarms[i].on ? report->alarms | bit : report->alarms & ~bit;
    }
}

/*
 * What an operator should do, when that becomes another thing; the token process logs its own
 * words.
 */
static void say_mend(struct report *report, const char *mend, const char *words_of_token)
{
    bool news = strcmp(mend, report->mend) != 0;
    if (news && mend[0] != '\0' && strcmp(mend, words_of_token) != 0) {
        log_event(EVENT_MEND, LOG_TEXT("text", mend));
    }
    report->stale |= news;
    (void)snprintf(report->mend, sizeof(report->mend), "%s", mend);
}

static void note_key_id(struct report *report, const char *key_id)
{
    report->stale |= strcmp(key_id, report->key_id) != 0;
    (void)snprintf(report->key_id, sizeof(report->key_id), "%s", key_id);
}

static void say_line(struct report *report, const char *mend)
{
    char line[sizeof(report->line)];
    const char *name = health_state_name(report->state);
    if (mend[0] == '\0') {
        (void)snprintf(line, sizeof(line), "%s: serving %s", name, report->key_id);
    } else {
        (void)snprintf(line, sizeof(line), "%s: %.240s", name, mend);
        span_end_whole(line);
    }
    if (strcmp(line, report->line) != 0) {
        (void)snprintf(report->line, sizeof(report->line), "%s", line);
        report->outputs.on_line(report->outputs.ctx, line);
    }
}

/* The mend, or while all is well for Kubernetes what is not well for the operator. */
static void full_mend(const struct report_facts *facts, char *ret_text, size_t size)
{
    mend_text(&facts->mend, ret_text, size);
    if (ret_text[0] == '\0') {
        mend_ailment(&facts->mend, &facts->ailments, ret_text, size);
    }
}

void report_tick(struct report *report, const struct report_facts *facts, struct times now)
{
    char mend[MEND_MAX];
    full_mend(facts, mend, sizeof(mend));
    bool changed = take_state(report, facts->mend.state, mend, now.real_s);
    report->outage_s = outage_since_s(report, facts, now.real_s);
    say_alarms(report, facts->mend.view);
    say_mend(report, mend, facts->mend.token->text);
    note_key_id(report, facts->key_id);
    say_line(report, mend);
    if (changed || now.boot_ms - report->put_ms >= (report->stale ? PUT_STALE_MS : PUT_HEALTH_MS)) {
        put_health(report, mend, now);
    }
}
