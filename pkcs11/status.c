#include "pkcs11/status.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/log.h"
#include "pkcs11/find.h"
#include "pkcs11/peer.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ipc_status current;
static _Atomic uint32_t logins;
static _Atomic uint64_t calls;
static _Atomic uint32_t phase_now;
static atomic_bool announces;

static const char *phase_name(enum ipc_phase phase)
{
    switch (phase) {
    case IPC_PHASE_STARTING: return "starting";
    case IPC_PHASE_NO_MODULE: return "no-module";
    case IPC_PHASE_NO_TOKEN: return "no-token";
    case IPC_PHASE_PIN: return "pin";
    case IPC_PHASE_CONFIG: return "config";
    case IPC_PHASE_READY: return "ready";
    }
    return "unknown";
}

void status_announce(void)
{
    atomic_store(&announces, true);
}

static void announce(void)
{
    struct ipc_status status;
    struct ipc_header news = {.verb = IPC_PROBE, .flags = IPC_REPLY, .call = 0};
    if (atomic_load(&announces)) {
        status_get(&status);
        /* On a full socket it is left out: the answer to the next ping says it too. */
        err_t sent = peer_send(peer_now(), &news, span_of(&status, sizeof(status)));
        (void)sent;
    }
}

void status_set(enum ipc_phase phase, const char *text)
{
    char cut[sizeof(current.text)];
    (void)span_to_text(span_of_text(text), cut, sizeof(cut));
    (void)pthread_mutex_lock(&lock);
    bool changed = current.phase != (uint32_t)phase ||
                   !span_equal(span_of_text(current.text), span_of_text(cut));
    current.phase = (uint32_t)phase;
    (void)snprintf(current.text, sizeof(current.text), "%s", cut);
    atomic_store(&phase_now, (uint32_t)phase);
    (void)pthread_mutex_unlock(&lock);
    if (!changed) {
        return;
    }
    announce();
    if (phase == IPC_PHASE_READY || phase == IPC_PHASE_STARTING) {
        log_event(EVENT_TOKEN_PHASE, LOG_TEXT("phase", phase_name(phase)));
    } else {
        log_event_at(LOG_LEVEL_WARN, EVENT_TOKEN_PHASE, LOG_TEXT("phase", phase_name(phase)),
                     LOG_TEXT("mend", cut));
    }
}

void status_set_token(const struct token *token)
{
    (void)pthread_mutex_lock(&lock);
    (void)snprintf(current.token, sizeof(current.token), "%s", token->label);
    (void)snprintf(current.serial, sizeof(current.serial), "%s", token->serial);
    (void)snprintf(current.model, sizeof(current.model), "%s", token->model);
    (void)snprintf(current.manufacturer, sizeof(current.manufacturer), "%s", token->manufacturer);
    (void)pthread_mutex_unlock(&lock);
}

void status_count_login(void)
{
    atomic_fetch_add(&logins, 1);
}

void status_count_call(void)
{
    atomic_fetch_add(&calls, 1);
}

void status_get(struct ipc_status *ret_status)
{
    (void)pthread_mutex_lock(&lock);
    *ret_status = current;
    (void)pthread_mutex_unlock(&lock);
    ret_status->logins = atomic_load(&logins);
    ret_status->calls = atomic_load(&calls);
}

enum ipc_phase status_phase(void)
{
    return (enum ipc_phase)atomic_load(&phase_now);
}
