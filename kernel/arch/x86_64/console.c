#include <arch/x86_64/console.h>

#include <stdbool.h>
#include <stdint.h>
#include <arch/x86_64/x86.h>

#define COM1           0x3f8
#define COM_DATA       (COM1 + 0)
#define COM_IER        (COM1 + 1)
#define COM_FCR        (COM1 + 2)
#define COM_LCR        (COM1 + 3)
#define COM_MCR        (COM1 + 4)
#define COM_LSR        (COM1 + 5)
#define COM_SCRATCH    (COM1 + 7)
#define LSR_THR_EMPTY  0x20
#define TRANSMIT_POLLS 100000

/* The port is hardware; there is one. */
static bool port_present;

void console_init(void)
{
    out8(COM_SCRATCH, 0x5a);
    port_present = in8(COM_SCRATCH) == 0x5a;
    if (!port_present)
        return;
    out8(COM_IER, 0);
    out8(COM_LCR, 0x80);
    out8(COM_DATA, 1);
    out8(COM_IER, 0);
    out8(COM_LCR, 0x03);
    out8(COM_FCR, 0x07);
    out8(COM_MCR, 0x0b);
}

void console_put(char byte)
{
    if (!port_present)
        return;
    for (unsigned i = 0; i < TRANSMIT_POLLS; i++) {
        if (in8(COM_LSR) & LSR_THR_EMPTY) {
            out8(COM_DATA, (uint8_t)byte);
            return;
        }
        cpu_relax();
    }
}

static void put_string(const char *text)
{
    while (*text)
        console_put(*text++);
}

static void put_number(uint64_t value, unsigned base, bool negative, unsigned width, char pad)
{
    char digits[24];
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative && pad == '0')
        console_put('-');
    for (unsigned i = count + negative; i < width; i++)
        console_put(pad);
    if (negative && pad != '0')
        console_put('-');
    while (count)
        console_put(digits[--count]);
}

/* One conversion; FORMAT is behind the percent sign. Returns where the text goes on. */
static const char *put_conversion(const char *format, va_list *arguments)
{
    const char *start = format;
    unsigned width = 0;
    bool is_long = false;
    char pad = ' ';

    if (*format == '0')
        pad = *format++;
    while (*format >= '0' && *format <= '9' && width < 100)
        width = width * 10 + (unsigned)(*format++ - '0');
    while (*format == 'l') {
        is_long = true;
        format++;
    }
    switch (*format) {
    case 's': {
        const char *text = va_arg(*arguments, const char *);
        put_string(text ? text : "(null)");
        break;
    }
    case 'c':
        console_put((char)va_arg(*arguments, int));
        break;
    case 'd': {
        int64_t value = is_long ? va_arg(*arguments, long) : va_arg(*arguments, int);
        put_number(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, value < 0, width, pad);
        break;
    }
    case 'u':
        put_number(is_long ? va_arg(*arguments, unsigned long) : va_arg(*arguments, unsigned), 10, false, width, pad);
        break;
    case 'x':
        put_number(is_long ? va_arg(*arguments, unsigned long) : va_arg(*arguments, unsigned), 16, false, width, pad);
        break;
    case 'p':
        put_string("0x");
        put_number((uint64_t)va_arg(*arguments, void *), 16, false, 16, '0');
        break;
    case '%':
        console_put('%');
        break;
    default:
        console_put('%');
        return start;
    }
    return format + 1;
}

static void put_formatted(const char *format, va_list *arguments)
{
    while (*format) {
        if (*format == '%')
            format = put_conversion(format + 1, arguments);
        else
            console_put(*format++);
    }
}

void kernel_log(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    put_string("[kernel] ");
    put_formatted(format, &arguments);
    put_string("\r\n");
    va_end(arguments);
}

void kernel_panic_at(const char *file, int line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    put_string("\r\n[kernel] panic: ");
    put_formatted(format, &arguments);
    put_string("\r\n");
    va_end(arguments);
    kernel_log("at %s:%d; the machine stops", file, line);
    for (;;)
        __asm__ volatile("cli; hlt");
}
