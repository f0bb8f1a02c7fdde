/* The process's log, and how it ends. */
#include "runtime/format.h"
#include "runtime/runtime.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#define LINE_BYTES 512u

/* There is one log a process, and libc's own ways to end it (abort, assert) carry no context. */
static struct {
    char name[CONFIG_NAME_BYTES];
    struct byte_ring *ring;
    seL4_CPtr notify;
} process_log;

void log_use(const char *name, struct byte_ring *ring, seL4_CPtr notify)
{
    size_t length = strnlen(name, sizeof process_log.name - 1);

    memcpy(process_log.name, name, length);
    process_log.name[length] = '\0';
    process_log.ring = ring;
    process_log.notify = notify;
}

static void debug_print(const char *line, size_t length)
{
    seL4_DebugPutChar('[');
    seL4_DebugPutString(process_log.name);
    seL4_DebugPutString("] ");
    for (size_t i = 0; i < length; i++)
        seL4_DebugPutChar(line[i]);
}

/* Text and a newline in LINE; returns its length. A longer text is cut. */
static size_t compose(char line[LINE_BYTES], const char *prefix, const char *format, va_list arguments)
{
    size_t start = strlen(prefix);

    memcpy(line, prefix, start);
    size_t wanted = (size_t)format_text(line + start, LINE_BYTES - start, format, arguments);
    size_t length = start + wanted < LINE_BYTES ? start + wanted : LINE_BYTES - 1;
    if (length == 0 || line[length - 1] != '\n') {
        if (length == LINE_BYTES)
            length--;
        line[length++] = '\n';
    }
    return length;
}

/* Whether the whole line is in the ring. */
static bool ring_print(const char *line, size_t length)
{
    if (!process_log.ring)
        return false;
    bool whole = ring_write_whole(process_log.ring, line, length);
    seL4_Signal(process_log.notify);
    return whole;
}

void log_printf(const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    size_t length = compose(line, "", format, arguments);
    va_end(arguments);
    if (process_log.ring)
        ring_print(line, length);
    else
        debug_print(line, length);
}

_Noreturn void panic(const char *format, ...)
{
    char line[LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    size_t length = compose(line, "panic: ", format, arguments);
    va_end(arguments);
    if (!ring_print(line, length))
        debug_print(line, length);
    for (;;)
        __asm__ volatile("ud2");
}
