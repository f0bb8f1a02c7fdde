/* Output of the kernel on the first serial port, for its few messages and for seL4_DebugPutChar. */
#pragma once

#include <stdarg.h>

/* Sets COM1 to 115200 baud 8N1, polled. Without such a port all output is dropped. */
void console_init(void);

/* One byte as it is. Drops it where the port does not take it in reasonable time. */
void console_put(char byte);

/* Prints one line as "[kernel] ..." and its end. Knows %s %c %d %u %x %p, with l for 64 bits, a width and a leading 0;
 * anything else is printed as it stands. */
void kernel_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints the message, where it came from, and stops the machine. */
#define kernel_panic(...) kernel_panic_at(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void kernel_panic_at(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
