#define _GNU_SOURCE
#include "pkcs11/peer.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "base/role.h"
#include "base/version.h"

/* Held while the socket is used: an answer for one peer never meets the socket of the next. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned number = 1;
static int news_fd = -1;

static err_t greet(void)
{
    struct ipc_header hello = {.verb = IPC_HELLO};
    return ipc_send(ROLE_FD_SERVICE, &hello, span_of_text(P11KMS_BUILD_ID));
}

err_t peer_open(int *ret_news_fd)
{
    news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (news_fd < 0) {
        return FAIL_ERRNO("eventfd");
    }
    /* It may have gone already; then the loop sees it, and another follows. */
    (void)!failed(greet());
    *ret_news_fd = news_fd;
    return OK;
}

static err_t replace(int fd)
{
    if (dup3(fd, ROLE_FD_SERVICE, O_CLOEXEC) < 0) {
        return FAIL_ERRNO("cannot take the socket of a new client");
    }
    number++;
    return greet();
}

void peer_replace(int fd)
{
    OWN_FD fresh = fd;
    (void)pthread_mutex_lock(&lock);
    err_t err = replace(fresh);
    (void)pthread_mutex_unlock(&lock);
    if (failed(err)) {
        log_event(EVENT_TOKEN_CLIENT_NOT_TAKEN, LOG_ERR(err));
    }
    (void)eventfd_write(news_fd, 1);
}

unsigned peer_now(void)
{
    (void)pthread_mutex_lock(&lock);
    unsigned now = number;
    (void)pthread_mutex_unlock(&lock);
    return now;
}

err_t peer_send(unsigned peer, struct ipc_header *header, struct span payload)
{
    (void)pthread_mutex_lock(&lock);
    err_t err = peer == number ? ipc_send(ROLE_FD_SERVICE, header, payload) : OK;
    (void)pthread_mutex_unlock(&lock);
    return err;
}

err_t peer_receive(unsigned peer, struct ipc_header *ret_header, struct span_mut room,
                   struct span *ret_payload)
{
    (void)pthread_mutex_lock(&lock);
    err_t err = peer == number ? ipc_receive(ROLE_FD_SERVICE, ret_header, room, ret_payload)
                               : FAIL(E_UNAVAILABLE, "this client was replaced");
    (void)pthread_mutex_unlock(&lock);
    return err;
}
