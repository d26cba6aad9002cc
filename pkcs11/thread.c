#include "pkcs11/thread.h"

#include <pthread.h>

err_t thread_start(void *(*run)(void *), void *arg)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run, arg);
    if (error != 0) {
        return FAIL_DETAIL(E_SYSTEM, error, "cannot start a thread");
    }
    (void)pthread_detach(thread);
    return OK;
}
