/* The console: COM1, polled. */
#include "guests/base/kernel.h"

#include <stdarg.h>

#define COM1 0x3f8
#define LINE_STATUS       (COM1 + 5)
#define DATA_READY        0x01
#define TRANSMITTER_EMPTY 0x20

void put(char c)
{
    while (!(in8(LINE_STATUS) & TRANSMITTER_EMPTY))
        ;
    out8(COM1, (uint8_t)c);
}

bool input_ready(void)
{
    return in8(LINE_STATUS) & DATA_READY;
}

char input(void)
{
    return (char)in8(COM1);
}

static void put_number(uint64_t value, unsigned base, unsigned width, char fill)
{
    char digits[24];
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    for (unsigned i = count; i < width; i++)
        put(fill);
    while (count > 0)
        put(digits[--count]);
}

static void put_text(const char *text, unsigned width)
{
    unsigned length = 0;

    for (; text[length]; length++) {
        if (text[length] == '\n')
            put('\r');
        put(text[length]);
    }
    for (; length < width; length++)
        put(' ');
}

void print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    for (; *format; format++) {
        unsigned width = 0;
        char fill = ' ';
        bool is_long = false;

        if (*format != '%') {
            if (*format == '\n')
                put('\r');
            put(*format);
            continue;
        }
        format++;
        if (*format == '-')
            format++;
        if (*format == '0')
            fill = '0';
        for (; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + (unsigned)(*format - '0');
        for (; *format == 'l'; format++)
            is_long = true;
        switch (*format) {
        case 's':
            put_text(va_arg(arguments, const char *), width);
            break;
        case 'c':
            put((char)va_arg(arguments, int));
            break;
        case 'x':
            put_number(is_long ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned), 16, width, fill);
            break;
        case 'u':
            put_number(is_long ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned), 10, width, fill);
            break;
        default:
            put(*format);
            break;
        }
    }
    va_end(arguments);
}
