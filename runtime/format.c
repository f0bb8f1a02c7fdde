#include "runtime/format.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct output {
    char *buffer;
    size_t size;
    size_t length; /* of the whole text, also of what did not fit */
};

struct directive {
    bool left, zero, plus, space, alternate;
    int width;
    int precision; /* -1: none given */
    int size;      /* bytes of the integer argument */
};

static void put(struct output *out, char c)
{
    if (out->length + 1 < out->size)
        out->buffer[out->length] = c;
    out->length++;
}

static void put_repeated(struct output *out, char c, int count)
{
    while (count-- > 0)
        put(out, c);
}

static void put_padded(struct output *out, const struct directive *d, const char *text, int length)
{
    if (!d->left)
        put_repeated(out, ' ', d->width - length);
    for (int i = 0; i < length; i++)
        put(out, text[i]);
    if (d->left)
        put_repeated(out, ' ', d->width - length);
}

static void put_number(struct output *out, const struct directive *d, uint64_t value, unsigned base, const char *digits,
                       const char *prefix)
{
    char text[24]; /* 22 octal digits */
    int count = 0;
    int prefix_length = (int)strlen(prefix);

    for (; value; value /= base)
        text[count++] = digits[value % base];
    if (count == 0 && d->precision != 0)
        text[count++] = '0';

    int zeros = d->precision > count ? d->precision - count : 0;
    int padding = d->width - prefix_length - zeros - count;
    if (d->zero && !d->left && d->precision < 0 && padding > 0) {
        zeros += padding;
        padding = 0;
    }
    if (!d->left)
        put_repeated(out, ' ', padding);
    for (int i = 0; i < prefix_length; i++)
        put(out, prefix[i]);
    put_repeated(out, '0', zeros);
    while (count > 0)
        put(out, text[--count]);
    if (d->left)
        put_repeated(out, ' ', padding);
}

static const char *parse_number(const char *format, int *number)
{
    int value = 0;

    for (; *format >= '0' && *format <= '9'; format++)
        if (value < 100000)
            value = value * 10 + (*format - '0');
    *number = value;
    return format;
}

static const char *parse_flags(const char *format, struct directive *d)
{
    for (;; format++) {
        switch (*format) {
        case '-': d->left = true; break;
        case '0': d->zero = true; break;
        case '+': d->plus = true; break;
        case ' ': d->space = true; break;
        case '#': d->alternate = true; break;
        default: return format;
        }
    }
}

static const char *parse_size(const char *format, struct directive *d)
{
    d->size = sizeof(int);
    switch (*format) {
    case 'h':
        d->size = format[1] == 'h' ? (int)sizeof(char) : (int)sizeof(short);
        return format + (format[1] == 'h' ? 2 : 1);
    case 'l':
        d->size = sizeof(long long);
        return format + (format[1] == 'l' ? 2 : 1);
    case 'z':
    case 'j':
    case 't':
        d->size = sizeof(long long);
        return format + 1;
    default:
        return format;
    }
}

/* The bytes of an integer argument as the size modifier says, extended to 64 bits with or without sign. */
static uint64_t narrow(uint64_t value, int size, bool is_signed)
{
    int shift = 64 - 8 * size;

    value <<= shift;
    return is_signed ? (uint64_t)((int64_t)value >> shift) : value >> shift;
}

static void put_integer(struct output *out, const struct directive *d, char conversion, uint64_t argument)
{
    uint64_t value = narrow(argument, d->size, conversion == 'd');

    switch (conversion) {
    case 'd': {
        bool negative = (int64_t)value < 0;
        const char *sign = negative ? "-" : d->plus ? "+" : d->space ? " " : "";
        put_number(out, d, negative ? -value : value, 10, "0123456789", sign);
        break;
    }
    case 'u': put_number(out, d, value, 10, "0123456789", ""); break;
    case 'o': put_number(out, d, value, 8, "01234567", d->alternate && value ? "0" : ""); break;
    case 'X': put_number(out, d, value, 16, "0123456789ABCDEF", d->alternate && value ? "0X" : ""); break;
    default: put_number(out, d, value, 16, "0123456789abcdef", d->alternate && value ? "0x" : ""); break;
    }
}

static void put_string(struct output *out, const struct directive *d, const char *string)
{
    size_t limit = d->precision >= 0 ? (size_t)d->precision : INT_MAX;

    if (!string)
        string = "(null)";
    put_padded(out, d, string, (int)strnlen(string, limit));
}

int format_text(char *buffer, size_t size, const char *format, va_list arguments)
{
    struct output out = { .buffer = buffer, .size = size };

    while (*format) {
        if (*format != '%') {
            put(&out, *format++);
            continue;
        }
        const char *start = format;
        struct directive d = { .precision = -1 };

        format = parse_flags(format + 1, &d);
        if (*format == '*') {
            d.width = va_arg(arguments, int);
            if (d.width < 0) {
                d.left = true;
                d.width = d.width == INT_MIN ? INT_MAX : -d.width;
            }
            format++;
        } else {
            format = parse_number(format, &d.width);
        }
        if (*format == '.' && format[1] == '*') {
            int precision = va_arg(arguments, int);
            d.precision = precision < 0 ? -1 : precision;
            format += 2;
        } else if (*format == '.') {
            format = parse_number(format + 1, &d.precision);
        }
        format = parse_size(format, &d);

        char conversion = *format;
        switch (conversion) {
        case 'd':
        case 'i':
        case 'u':
        case 'x':
        case 'X':
        case 'o': {
            uint64_t argument =
                d.size > (int)sizeof(int) ? va_arg(arguments, unsigned long long) : va_arg(arguments, unsigned);
            put_integer(&out, &d, conversion == 'i' ? 'd' : conversion, argument);
            break;
        }
        case 'p':
            put_number(&out, &d, (uintptr_t)va_arg(arguments, void *), 16, "0123456789abcdef", "0x");
            break;
        case 'c': {
            char c = (char)va_arg(arguments, int);
            put_padded(&out, &d, &c, 1);
            break;
        }
        case 's':
            put_string(&out, &d, va_arg(arguments, const char *));
            break;
        case '%':
            put(&out, '%');
            break;
        default: /* unknown, or the text ends inside a directive: show it */
            while (start < format)
                put(&out, *start++);
            continue;
        }
        format++;
    }
    if (size > 0)
        buffer[out.length < size ? out.length : size - 1] = '\0';
    return out.length > INT_MAX ? INT_MAX : (int)out.length;
}
