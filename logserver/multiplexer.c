#include "logserver/multiplexer.h"

#include <string.h>

#define END_OF_LINE "\r\n"

/* What a line needs at most besides its text: a line feed before it, tag with brackets and blank, its end. */
#define LINE_EXTRA (2 * (sizeof END_OF_LINE - 1) + CONFIG_NAME_BYTES + 16u)

static size_t room(const struct multiplexer *m)
{
    return MULTIPLEXER_OUTPUT_BYTES - m->waiting;
}

static void put(struct multiplexer *m, const void *bytes, size_t length)
{
    const uint8_t *byte = bytes;

    for (size_t i = 0; i < length; i++)
        m->output[(m->first + m->waiting++) % MULTIPLEXER_OUTPUT_BYTES] = byte[i];
}

/* A part of a line, which is kept in any case. */
static void put_part(struct multiplexer *m, bool shown, const char *text, size_t length)
{
    if (shown)
        put(m, text, length);
    if (m->kept)
        backlog_add(m->kept, text, length);
}

static void put_line(struct multiplexer *m, bool shown, const char *tag, const char *text, size_t length)
{
    if (m->mid_line && shown)
        put(m, END_OF_LINE, sizeof END_OF_LINE - 1);
    put_part(m, shown, "[", 1);
    put_part(m, shown, tag, strnlen(tag, CONFIG_NAME_BYTES + 8));
    put_part(m, shown, "] ", 2);
    put_part(m, shown, text, length);
    put_part(m, shown, END_OF_LINE, sizeof END_OF_LINE - 1);
    if (shown)
        m->mid_line = false;
}

/* A process may not send the terminal commands. */
static char harmless(char c)
{
    return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f ? '?' : c;
}

size_t multiplexer_add_lines(struct multiplexer *m, unsigned source, const char *tag, const void *text, size_t length)
{
    const char *c = text;

    for (size_t i = 0; i < length; i++) {
        bool full = m->line[source].length == MULTIPLEXER_LINE_BYTES;

        if (c[i] == '\r')
            continue;
        if (c[i] == '\n' || full) {
            if (room(m) < m->line[source].length + LINE_EXTRA)
                return i;
            put_line(m, m->only == MULTIPLEXER_ALL || m->only == source, tag, m->line[source].text, m->line[source].length);
            m->line[source].length = 0;
        }
        if (c[i] != '\n')
            m->line[source].text[m->line[source].length++] = harmless(c[i]);
    }
    return length;
}

size_t multiplexer_add_console(struct multiplexer *m, const void *bytes, size_t length)
{
    size_t count = length < room(m) ? length : room(m);
    const uint8_t *byte = bytes;

    put(m, bytes, count);
    for (size_t i = 0; i < count; i++) {
        if (byte[i] == '\n')
            m->mid_line = false;
        else if (byte[i] != '\r')
            m->mid_line = true;
    }
    return count;
}

bool multiplexer_end_line(struct multiplexer *m)
{
    if (m->mid_line && room(m) < sizeof END_OF_LINE - 1)
        return false;
    if (m->mid_line)
        put(m, END_OF_LINE, sizeof END_OF_LINE - 1);
    m->mid_line = false;
    return true;
}

#define DIGITS_MAX 20u /* of a 64-bit number */

static size_t decimal(char digits[DIGITS_MAX], uint64_t number)
{
    char reversed[DIGITS_MAX];
    size_t count = 0;

    do
        reversed[count++] = (char)('0' + number % 10);
    while (number /= 10);
    for (size_t i = 0; i < count; i++)
        digits[i] = reversed[count - 1 - i];
    return count;
}

bool multiplexer_add_note(struct multiplexer *m, const char *tag, uint64_t number, const char *words)
{
    char text[MULTIPLEXER_LINE_BYTES];
    size_t digits = decimal(text, number), length = strnlen(words, sizeof text - DIGITS_MAX);

    if (room(m) < digits + length + LINE_EXTRA)
        return false;
    memcpy(text + digits, words, length);
    put_line(m, true, tag, text, digits + length);
    return true;
}

size_t multiplexer_take(struct multiplexer *m, void *bytes, size_t length)
{
    size_t count = length < m->waiting ? length : m->waiting;
    uint8_t *byte = bytes;

    for (size_t i = 0; i < count; i++)
        byte[i] = m->output[(m->first + i) % MULTIPLEXER_OUTPUT_BYTES];
    m->first = (m->first + count) % MULTIPLEXER_OUTPUT_BYTES;
    m->waiting -= count;
    return count;
}
