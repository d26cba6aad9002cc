/*
 * notify: tells the service manager, by the protocol of sd_notify(3): one datagram of NAME=value
 * lines to the socket named in NOTIFY_SOCKET. Without that variable nothing is sent. Failures are
 * not errors: the service works without its manager.
 */
#ifndef SERVER_SUPERVISOR_NOTIFY_H
#define SERVER_SUPERVISOR_NOTIFY_H

#include <stdint.h>

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);
/* We live: at least every notify_alive_period_ms, from a loop that works. */
void notify_alive(void);
/* A third of what the service manager waits for (WATCHDOG_USEC); 0: it does not watch us. */
int64_t notify_alive_period_ms(void);
/* One line for people; control characters become spaces. */
void notify_status(const char *text);

#endif
