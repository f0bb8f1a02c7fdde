/* printf's formatting without floating point: musl's own needs vector registers, which a monitor must not touch.
 *
 * Understands %d %i %u %x %X %o %c %s %p %% with flags "-0+ #", width, precision, '*', and sizes hh h l ll z j t.
 * Anything else is copied as it stands.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* As vsnprintf: writes at most SIZE bytes with the terminating zero, returns the length of the whole text. */
int format_text(char *buffer, size_t size, const char *format, va_list arguments);
