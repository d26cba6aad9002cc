/*
 * cover: linked into every unit test of a coverage build. A process that ends by _exit, or becomes
 * another program by a bare system call, would lose its counters: here they are written first.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARGUMENTS 6

void __gcov_dump(void);
void __gcov_reset(void);
void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* A second write of the same counters does nothing until they have been reset. */
static void write_counters(void)
{
    __gcov_dump();
    __gcov_reset();
}

void __wrap__exit(int status)
{
    write_counters();
    __real__exit(status);
}

long __wrap_syscall(long number, ...)
{
    long arguments[ARGUMENTS];
    va_list list;
    va_start(list, number);
    for (size_t i = 0; i < ARGUMENTS; i++) {
        arguments[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_execveat) {
        write_counters();
    }
    return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
                          arguments[4], arguments[5]);
}
