#define _GNU_SOURCE
#include "server/supervisor/notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"
#include "base/role.h"
#include "base/span.h"

/* A path, or "@name" for an abstract socket, whose address ends with its name. */
static socklen_t address_of(const char *name, struct sockaddr_un *ret_address)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct span_mut room = span_mut_of(address.sun_path, sizeof(address.sun_path) - 1);
    if ((name[0] != '/' && name[0] != '@') || !span_copy(room, span_of_text(name))) {
        return 0;
    }
    if (name[0] == '@') {
        address.sun_path[0] = '\0';
    }
    *ret_address = address;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) +
                       (name[0] == '/' ? 1 : 0));
}

static void send_text(const char *text)
{
    const char *name = role_environment("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t len = name == NULL ? 0 : address_of(name, &address);
    if (len == 0) {
        return;
    }
    OWN_FD fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        (void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&address, len);
    }
}

void notify_ready(void)
{
    send_text("READY=1");
}

void notify_reloading(void)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_us());
    send_text(text);
}

void notify_stopping(void)
{
    send_text("STOPPING=1");
}

void notify_alive(void)
{
    send_text("WATCHDOG=1");
}

int64_t notify_alive_period_ms(void)
{
    const char *limit = role_environment("WATCHDOG_USEC");
    const char *pid = role_environment("WATCHDOG_PID");
    if (limit == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid())) {
        return 0;
    }
    int64_t limit_us = strtoll(limit, NULL, 10);
    return limit_us <= 0 ? 0 : limit_us / 3000 + 1;
}

void notify_status(const char *text)
{
    char line[512];
    char shown[256];
    /* One line of UTF-8: systemd takes nothing else. */
    (void)span_to_text(span_of_text(text), shown, sizeof(shown));
    (void)snprintf(line, sizeof(line), "STATUS=%s", shown);
    send_text(line);
}
