/* status: asks the socket as an API server does, and reads the state that the daemon remembers. */
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

#define SETTLE_LOOKS    20
#define SETTLE_PAUSE_NS 50000000

static void add_span(json_t *report, const char *name, struct span bytes)
{
    char text[CODEC_TEXT_MAX + 1];
    size_t len = bytes.len < CODEC_TEXT_MAX ? bytes.len : CODEC_TEXT_MAX;
    span_move(text, bytes.ptr, len);
    text[len] = '\0';
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

static err_t ask(struct kms_client *client, json_t *report, int *ret_exit)
{
    CLEANUP(kms_answer_done) struct kms_answer answer = {0};
    const struct codec_request request = {0};
    TRY(kms_client_call(client, CODEC_V2_STATUS, &request, TIMEOUT_MS, &answer));
    bool healthy = false;
    if (answer.grpc_status == 0) {
        healthy = span_equal(answer.response.healthz, span_of_text("ok"));
        add_span(report, "version", answer.response.version);
        add_span(report, "healthz", answer.response.healthz);
        add_span(report, "key_id", answer.response.key_id);
        add_hash(report, answer.response.key_id);
    } else {
        output_number(report, "grpc_status", answer.grpc_status);
        output_text(report, "grpc_message", answer.message);
    }
    output_number(report, "took_us", answer.took_us);
    *ret_exit = healthy ? CTL_OK : CTL_FINDING;
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
    TRY(state_read(dir, STATE_HEALTH, span_mut_of(bytes, sizeof(bytes)), &len));
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
static err_t read_health(const struct config *config, bool ok, json_t *report)
{
    CLEANUP(workplace_close) struct workplace workplace = {.state = {.fd = -1}};
    struct state_health health;
    TRY(workplace_open_state(config, false, &workplace));
    TRY(read_settled(&workplace.state, ok, &health));
    output_text(report, "state", health.state);
    add_time(report, "state_since", health.since_s);
    add_time(report, "outage_since", health.outage_s);
    add_time(report, "written", health.written_s);
    output_text(report, "last_key_id", health.key_id);
    output_text(report, "mend", health.mend);
    return OK;
}

static err_t talk(const struct ctl *ctl, bool trips, json_t *report, int *ret_exit)
{
    CLEANUP(kms_client_close_p) struct kms_client *client = NULL;
    TRY(kms_client_open(ctl->config.listen.socket, TIMEOUT_MS, &client));
    TRY(ask(client, report, ret_exit));
    if (trips) {
        json_t *rows = json_array();
        bool good = round_trip(client, rows);
        output_member(report, "round_trip", rows);
        *ret_exit = good ? *ret_exit : CTL_FINDING;
    }
    return OK;
}

int ctl_status(struct ctl *ctl)
{
    bool trips = false;
    const struct option_flag flags[] = {{"--round-trip", &trips, NULL}};
    if (!options_command(ctl, flags, 1, NULL)) {
        return CTL_USAGE;
    }
    int code = CTL_FAILED;
    OWN_JSON *report = json_object();
    output_text(report, "socket", ctl->config.listen.socket);
    err_t err = talk(ctl, trips, report, &code);
    output_bool(report, "serving", !failed(err));
    if (failed(err)) {
        output_text(report, "error", err.what);
        code = CTL_FAILED;
    }
    err = read_health(&ctl->config, code == CTL_OK, report);
    if (failed(err)) {
        output_text(report, "state", "unknown");
        output_text(report, "state_error", err.what);
    }
    return output_print(ctl, report) ? code : CTL_FAILED;
}
