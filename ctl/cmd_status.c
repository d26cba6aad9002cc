/* status: asks the socket as an API server does, and reads the state that the daemon remembers. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "ctl/kms_client.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/round_trip.h"
#include "ctl/time_text.h"
#include "ctl/workplace.h"
#include "keys/key_id.h"

#define TIMEOUT_MS 3000
#define HEALTH_MAX 2048u

#define PERMISSION_DENIED 7u /* of gRPC: a uid that is not in listen.allowed_uids */

#define SETTLE_LOOKS    20
#define SETTLE_PAUSE_NS 50000000

static void add_span(json_t *report, const char *name, struct span bytes)
{
    char text[CODEC_TEXT_MAX + 1];
    (void)span_to_text(bytes, text, sizeof(text));
    output_text(report, name, text);
}

/* What the API server's metrics and logs call this key_id. */
static void add_hash(json_t *report, struct span key_id)
{
    char hash[KEY_ID_HASH_LEN + 1];
    if (!failed(key_id_hash(key_id, hash))) {
        output_text(report, "key_id_hash", hash);
    }
}

/* What the socket said. `serving` is what an API server makes of it. */
struct answer {
    bool came;
    bool denied; /* to this user: how the daemon is remains unknown */
    bool healthy;
};

static err_t ask(struct kms_client *client, json_t *report, struct answer *ret_answer)
{
    CLEANUP(kms_answer_done) struct kms_answer answer = {0};
    const struct codec_request request = {0};
    TRY(kms_client_call(client, CODEC_V2_STATUS, &request, TIMEOUT_MS, &answer));
    ret_answer->came = true;
    if (answer.grpc_status == 0) {
        ret_answer->healthy = span_equal(answer.response.healthz, span_of_text("ok"));
        add_span(report, "version", answer.response.version);
        add_span(report, "healthz", answer.response.healthz);
        add_span(report, "key_id", answer.response.key_id);
        add_hash(report, answer.response.key_id);
    } else {
        ret_answer->denied = answer.grpc_status == PERMISSION_DENIED;
        output_number(report, "grpc_status", answer.grpc_status);
        output_text(report, "grpc_message", answer.message);
    }
    output_number(report, "took_us", answer.took_us);
    return OK;
}

static void add_time(json_t *report, const char *name, int64_t s)
{
    char text[TIME_TEXT_LEN];
    time_text_write(s, text);
    output_text(report, name, text);
}

static err_t read_record(const struct state_dir *dir, struct state_health *ret_health)
{
    uint8_t bytes[HEALTH_MAX];
    size_t len = 0;
    TRY(state_read(dir, STATE_HEALTH, NULL, span_mut_of(bytes, sizeof(bytes)), &len));
    return state_health_parse(span_of(bytes, len), ret_health);
}

static bool is_behind(const struct state_health *health)
{
    return strcmp(health->state, "START") == 0 || strcmp(health->state, "HARD") == 0;
}

/* The record reaches the disk a moment after the socket says ok: it is given that moment. */
static err_t read_settled(const struct state_dir *dir, bool ok, struct state_health *ret_health)
{
    const struct timespec pause = {.tv_nsec = SETTLE_PAUSE_NS};
    TRY(read_record(dir, ret_health));
    for (int i = 0; ok && is_behind(ret_health) && i < SETTLE_LOOKS; i++) {
        (void)nanosleep(&pause, NULL);
        TRY(read_record(dir, ret_health));
    }
    return OK;
}

/* After the socket: as root this becomes the owner of state_dir, whom allowed_uids may not name. */
static err_t read_health(const struct config *config, const struct answer *answer, json_t *report)
{
    CLEANUP(workplace_close) struct workplace workplace = {.state = {.fd = -1}};
    struct state_health health;
    TRY(workplace_look(config, &workplace));
    TRY(read_settled(&workplace.state, answer->healthy, &health));
    /* Without an answer it is how some daemon was, when it last wrote. */
    output_text(report, answer->came ? "state" : "last_state", health.state);
    add_time(report, "state_since", health.since_s);
    add_time(report, "outage_since", health.outage_s);
    add_time(report, "written", health.written_s);
    output_text(report, "last_key_id", health.key_id);
    output_text(report, "mend", health.mend);
    return OK;
}

static err_t talk(const struct ctl *ctl, bool trips, json_t *report, struct answer *ret_answer,
                  bool *ret_tripped)
{
    CLEANUP(kms_client_close_p) struct kms_client *client = NULL;
    TRY(kms_client_open(ctl->config.listen.socket, TIMEOUT_MS, &client));
    TRY(ask(client, report, ret_answer));
    if (trips && !ret_answer->denied) {
        json_t *rows = json_array();
        *ret_tripped = round_trip(client, rows);
        output_member(report, "round_trip", rows);
    }
    return OK;
}

static void add_error(json_t *report, const char *name, err_t err)
{
    char text[512];
    if (err.code == E_UNAVAILABLE) { /* of a socket: its detail is no CK_RV */
        err.detail = 0;
    }
    ctl_error_text(err, text, sizeof(text));
    output_text(report, name, text);
}

/* Why there was no answer, and what to do. */
static const char *next_step(err_t err, const struct answer *answer)
{
    if (answer->denied || (err.code == E_UNAVAILABLE && err.detail == EACCES)) {
        return "ask as root or as a user of listen.allowed_uids: this one may not, so how the "
               "daemon "
               "is remains unknown";
    }
    if (err.code == E_UNAVAILABLE && err.detail == ENOENT) {
        return "the socket is not there: start p11-kmsd (systemctl start p11-kms; where it runs "
               "and "
               "has lost its socket: systemctl restart p11-kms.socket p11-kms.service), or is "
               "listen.socket the one that it was started with?";
    }
    return "see what p11-kmsd logs: journalctl -u p11-kms";
}

static void add_verdict(json_t *report, err_t err, const struct answer *answer)
{
    bool unknown =
        answer->denied || (failed(err) && err.code == E_UNAVAILABLE && err.detail == EACCES);
    if (unknown) {
        output_unknown(report, "serving");
    } else {
        output_bool(report, "serving", !failed(err) && answer->healthy);
    }
    if (failed(err)) {
        add_error(report, "error", err);
    }
    if (failed(err) || answer->denied) {
        output_text(report, "next", next_step(err, answer));
    }
}

int ctl_status(struct ctl *ctl)
{
    bool trips = false;
    const struct option_flag flags[] = {{"--round-trip", &trips, NULL}};
    if (!options_command(ctl, flags, 1, NULL)) {
        return CTL_USAGE;
    }
    struct answer answer = {0};
    bool tripped = true;
    OWN_JSON *report = json_object();
    output_text(report, "socket", ctl->config.listen.socket);
    err_t err = talk(ctl, trips, report, &answer, &tripped);
    add_verdict(report, err, &answer);
    err_t record = read_health(&ctl->config, &answer, report);
    if (failed(record)) {
        output_unknown(report, "state");
        add_error(report, "state_error", record);
    }
    bool answered = !failed(err) && !answer.denied;
    int code = !answered ? CTL_FAILED : answer.healthy && tripped ? CTL_OK : CTL_FINDING;
    return output_print(ctl, report) ? code : CTL_FAILED;
}
