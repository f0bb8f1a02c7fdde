/* The first process of a Linux guest in the boot benchmark: says what the time-stamp counter is, then becomes busybox's
 * init. Static, without libc. */
#include <stddef.h>
#include <stdint.h>

#define SYS_WRITE  1
#define SYS_EXECVE 59
#define SYS_EXIT   60

_Noreturn void _start(void);

static long system_call(long number, long a, long b, long c)
{
    long result;

    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

_Noreturn void _start(void)
{
    static const char *const arguments[] = { "init", NULL }, *const environment[] = { NULL };
    uint64_t tsc = read_tsc();
    char line[64] = "first process: tsc ";
    size_t length = 19, digits = 1;

    for (uint64_t rest = tsc / 10; rest; rest /= 10)
        digits++;
    for (size_t i = digits; i-- > 0; tsc /= 10)
        line[length + i] = (char)('0' + tsc % 10);
    length += digits;
    line[length++] = '\n';
    system_call(SYS_WRITE, 1, (long)line, (long)length);
    system_call(SYS_EXECVE, (long)"/bin/busybox", (long)arguments, (long)environment);
    system_call(SYS_EXIT, 1, 0, 0);
    for (;;)
        ;
}
