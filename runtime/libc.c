/* The functions of libc that musl would do by Linux system calls or with vector registers. */
#include "runtime/format.h"
#include "runtime/runtime.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void __stack_chk_fail(void);

int vsnprintf(char *restrict buffer, size_t size, const char *restrict format, va_list arguments)
{
    return format_text(buffer, size, format, arguments);
}

int snprintf(char *restrict buffer, size_t size, const char *restrict format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = format_text(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}

_Noreturn void __assert_fail(const char *expression, const char *file, int line, const char *function)
{
    panic("%s:%d: %s: assertion failed: %s", file, line, function, expression);
}

_Noreturn void abort(void)
{
    panic("abort called");
}

/* musl's archive is built with stack canaries. */
_Noreturn void __stack_chk_fail(void)
{
    panic("a function of libc found its stack frame overwritten");
}
