/*
 * The front: the process that Kubernetes speaks to. One thread, one loop; it holds the seeds, never
 * calls PKCS#11 and touches no disk. This file knows every room and only wires them:
 *
 *   control socket ──► keeper          what the keeper says: token sockets, reload, drain
 *                  └─► files           and what became of our state files
 *   token socket ────► token_link      replies of the token process
 *   listening socket ► net             peers, which ask the service
 *   timer ───────────► on_time         what the service has to do by itself
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "base/role.h"
#include "base/role_confine.h"
#include "base/secret.h"
#include "server/front/front.h"
#include "server/front/keeper.h"
#include "server/front/token_link.h"
#include "server/kms/service.h"

#define PROGRAM "p11-kms-front"

static void front_done(struct front *front)
{
    net_free(front->net);
    loop_turn_free(front->turn);
    loop_timer_free(front->timer);
    token_link_done(front);
    loop_poll_free(front->control_poll);
    own_fd_close_p(&front->service_fd);
    service_free(front->service);
    files_done(&front->files);
    loop_free(front->loop);
}

/* ---- what the rooms say ---- */

static void on_reply(void *ctx, struct ticket ticket, struct service_reply *reply)
{
    struct front *front = ctx;
    net_reply(front->net, ticket, reply);
}

static void on_full(void *ctx)
{
    const struct front *front = ctx;
    service_limit_bites(front->service, LIMIT_CONNECTIONS);
}

static bool on_put_state(void *ctx, enum state_file file, struct span bytes)
{
    return keeper_put(ctx, file, bytes);
}

static void on_fate(void *ctx, enum state_file file, err_t err)
{
    const struct front *front = ctx;
    service_stored(front->service, file, err);
}

static void on_line(void *ctx, const char *line)
{
    (void)ctx;
    keeper_tell(ROLE_STATUS, 0, line);
}

static void on_hung(void *ctx)
{
    const struct front *front = ctx;
    keeper_tell(ROLE_KILL_TOKEN, front->token, "no answer for 10 s");
}

/* ---- time ---- */

static void on_time(void *ctx)
{
    struct front *front = ctx;
    files_tick(&front->files, clock_mono_ms());
    service_tick(front->service);
    token_link_check(front);
}

/* After each wake-up: a call may have given the service something to do. */
static void on_turn(void *ctx)
{
    struct front *front = ctx;
    loop_timer_at(front->timer, service_next_ms(front->service));
}

/* ---- life ---- */

static err_t build(struct front *front)
{
    const struct service_events events = {front, on_reply};
    const struct kms_outputs outputs = {front, on_put_state, on_line, on_hung};
    TRY(loop_new(&front->loop));
    TRY(service_new(&front->config, &events, &outputs, &front->service));
    files_init(&front->files, ROLE_FD_CONTROL, on_fate, front);
    TRY(keeper_fetch(front));
    service_start(front->service);
    TRY(keeper_watch(front));
    TRY(loop_timer_new(front->loop, on_time, front, &front->timer));
    TRY(loop_turn_new(front->loop, on_turn, front, &front->turn));
    const struct net_events net_events = {front, on_full};
    TRY(net_new(front->loop, front->service_fd, front->service, &net_events, &front->net));
    front_apply_uids(front);
    loop_timer_at(front->timer, service_next_ms(front->service));
    return role_confine(ROLE_FRONT);
}

/* Whoever signals the whole group means the keeper, which then drains us. */
static void ignore_signals(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        (void)signal(numbers[i], SIG_IGN);
    }
}

static err_t prepare(struct front *front)
{
    TRY(role_start(PROGRAM, &front->config));
    log_init(PROGRAM, front->config.log_format, front->config.log_level);
    ignore_signals();
    TRY(secret_init(&secret_budget_front));
    TRY(secret_serve_crypto(false));
    int flags = fcntl(ROLE_FD_SERVICE, F_GETFL);
    if (flags < 0 || fcntl(ROLE_FD_SERVICE, F_SETFL, flags | O_NONBLOCK) != 0) {
        return FAIL_ERRNO("there is no listening socket");
    }
    return OK;
}

static err_t run(struct front *front)
{
    TRY(prepare(front));
    front->prepared = true;
    TRY(build(front));
    log_event(EVENT_SERVING, LOG_NUM("locked_bytes", secret_locked_bytes()),
              LOG_NUM("seeds_hidden", secret_seeds_hidden()));
    keeper_tell(ROLE_READY, 0, "");
    loop_run(front->loop);
    return OK;
}

int main(int argc, char **argv)
{
    static struct front front = {.token_fd = -1, .service_fd = ROLE_FD_SERVICE};
    if (role_told_version(argc, argv, PROGRAM)) {
        return EXIT_SUCCESS;
    }
    err_t err = run(&front);
    if (failed(err) && !front.ends) {
        log_event(EVENT_FRONT_FAILED, LOG_ERR(err));
    }
    front_done(&front);
    if (!failed(err) || front.ends) {
        return EXIT_SUCCESS;
    }
    return front.prepared || role_may_pass(err) ? EXIT_FAILURE : ROLE_EXIT_LASTING;
}
