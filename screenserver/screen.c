#include "screenserver/screen.h"

#include <string.h>

enum { BELL = 0x07, BACKSPACE = 0x08, TAB = 0x09, LINE_FEED = 0x0a, RETURN = 0x0d, ESCAPE = 0x1b };

#define TAB_WIDTH    8u
#define PARAMETER_MAX 999u
#define BRIGHT       0x08u

static uint16_t blank(const struct screen *screen)
{
    return (uint16_t)(screen->attribute << 8 | ' ');
}

static void clear(struct screen *screen, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to && i < SCREEN_CELLS; i++)
        screen->cell[i] = blank(screen);
}

void screen_init(struct screen *screen)
{
    *screen = (struct screen) { .attribute = SCREEN_WHITE_ON_BLUE };
    clear(screen, 0, SCREEN_CELLS);
}

unsigned screen_cursor(const struct screen *screen)
{
    unsigned column = screen->column < SCREEN_COLUMNS ? screen->column : SCREEN_COLUMNS - 1;

    return screen->row * SCREEN_COLUMNS + column;
}

static void line_feed(struct screen *screen)
{
    if (++screen->row < SCREEN_ROWS)
        return;
    screen->row = SCREEN_ROWS - 1;
    memmove(screen->cell, screen->cell + SCREEN_COLUMNS, (SCREEN_CELLS - SCREEN_COLUMNS) * sizeof screen->cell[0]);
    clear(screen, SCREEN_CELLS - SCREEN_COLUMNS, SCREEN_CELLS);
}

static void put_character(struct screen *screen, uint8_t character)
{
    if (screen->column == SCREEN_COLUMNS) {
        screen->column = 0;
        line_feed(screen);
    }
    screen->cell[screen->row * SCREEN_COLUMNS + screen->column++] = (uint16_t)(screen->attribute << 8 | character);
}

static unsigned clamp(unsigned value, unsigned limit)
{
    return value < limit ? value : limit;
}

/* Parameter I, or VALUE where it is 0 or missing. */
static unsigned parameter(const struct screen *screen, unsigned i, unsigned value)
{
    return i < screen->parameters && screen->parameter[i] != 0 ? screen->parameter[i] : value;
}

static void erase_line(struct screen *screen)
{
    unsigned start = screen->row * SCREEN_COLUMNS, here = screen_cursor(screen);

    switch (parameter(screen, 0, 0)) {
    case 0:
        if (screen->column < SCREEN_COLUMNS)
            clear(screen, here, start + SCREEN_COLUMNS);
        break;
    case 1:
        clear(screen, start, here + 1);
        break;
    default:
        clear(screen, start, start + SCREEN_COLUMNS);
        break;
    }
}

static void erase_screen(struct screen *screen)
{
    switch (parameter(screen, 0, 0)) {
    case 0:
        clear(screen, screen_cursor(screen), SCREEN_CELLS);
        break;
    case 1:
        clear(screen, 0, screen_cursor(screen) + 1);
        break;
    default:
        clear(screen, 0, SCREEN_CELLS);
        break;
    }
}

/* Colours in the order of a terminal (red 1, blue 4) become VGA's (blue 1, red 4). */
static uint8_t vga_colour(unsigned colour)
{
    return (uint8_t)((colour & 2) | (colour & 1) << 2 | (colour & 4) >> 2);
}

static void select_rendition(struct screen *screen)
{
    unsigned count = screen->parameters ? screen->parameters : 1;

    for (unsigned i = 0; i < count; i++) {
        unsigned code = parameter(screen, i, 0);
        uint8_t a = screen->attribute;

        if (code == 0)
            a = SCREEN_WHITE_ON_BLUE;
        else if (code == 1)
            a |= BRIGHT;
        else if (code == 7)
            a = (uint8_t)((a & 7) << 4 | (a >> 4 & 7));
        else if (code >= 30 && code <= 37)
            a = (uint8_t)((a & 0xf8) | vga_colour(code - 30));
        else if (code == 39)
            a = (uint8_t)((a & 0xf0) | (SCREEN_WHITE_ON_BLUE & 0x0f));
        else if (code >= 40 && code <= 47)
            a = (uint8_t)((a & 0x0f) | vga_colour(code - 40) << 4);
        else if (code == 49)
            a = (uint8_t)((a & 0x0f) | (SCREEN_WHITE_ON_BLUE & 0xf0));
        screen->attribute = a;
    }
}

static void sequence_ended(struct screen *screen, uint8_t byte)
{
    unsigned count = parameter(screen, 0, 1);

    switch (byte) {
    case 'A':
        screen->row -= clamp(count, screen->row);
        break;
    case 'B':
        screen->row = clamp(screen->row + count, SCREEN_ROWS - 1);
        break;
    case 'C':
        screen->column = clamp(screen->column + count, SCREEN_COLUMNS - 1);
        break;
    case 'D':
        screen->column -= clamp(count, screen->column);
        break;
    case 'G':
        screen->column = clamp(count - 1, SCREEN_COLUMNS - 1);
        break;
    case 'H':
    case 'f':
        screen->row = clamp(count - 1, SCREEN_ROWS - 1);
        screen->column = clamp(parameter(screen, 1, 1) - 1, SCREEN_COLUMNS - 1);
        break;
    case 'J':
        erase_screen(screen);
        break;
    case 'K':
        erase_line(screen);
        break;
    case 'm':
        select_rendition(screen);
        break;
    default:
        break;
    }
}

static void sequence_byte(struct screen *screen, uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        if (screen->parameters == 0)
            screen->parameters = 1;
        unsigned *last = &screen->parameter[screen->parameters - 1];
        *last = clamp(*last * 10 + (byte - '0'), PARAMETER_MAX);
    } else if (byte == ';') {
        if (screen->parameters == 0)
            screen->parameters = 1;
        if (screen->parameters < SCREEN_PARAMETERS)
            screen->parameter[screen->parameters++] = 0;
    } else if (byte >= '@' && byte <= '~') {
        screen->state = SCREEN_PLAIN;
        sequence_ended(screen, byte);
    } else if (byte < ' ' || byte > '~') {
        screen->state = SCREEN_PLAIN;
    }
}

static void plain_byte(struct screen *screen, uint8_t byte)
{
    switch (byte) {
    case BACKSPACE:
        screen->column -= clamp(1, screen->column);
        break;
    case TAB:
        screen->column = clamp((screen->column / TAB_WIDTH + 1) * TAB_WIDTH, SCREEN_COLUMNS - 1);
        break;
    case LINE_FEED:
        line_feed(screen);
        break;
    case RETURN:
        screen->column = 0;
        break;
    case ESCAPE:
        screen->state = SCREEN_ESCAPE;
        break;
    default:
        /* Of a character in UTF-8 the first byte is shown as something that is not known, and the others not at all. */
        if (byte >= ' ' && byte < 0x7f)
            put_character(screen, byte);
        else if (byte >= 0xc0)
            put_character(screen, '?');
        break;
    }
}

void screen_put(struct screen *screen, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        switch (screen->state) {
        case SCREEN_PLAIN:
            plain_byte(screen, bytes[i]);
            break;
        case SCREEN_ESCAPE:
            screen->state = bytes[i] == '[' ? SCREEN_SEQUENCE : bytes[i] == ']' ? SCREEN_TITLE : SCREEN_PLAIN;
            screen->parameters = 0;
            screen->parameter[0] = 0;
            break;
        case SCREEN_SEQUENCE:
            sequence_byte(screen, bytes[i]);
            break;
        case SCREEN_TITLE: /* up to a bell or what would be a backslash behind an escape */
            if (bytes[i] == BELL || bytes[i] == '\\' || bytes[i] == LINE_FEED)
                screen->state = SCREEN_PLAIN;
            break;
        }
    }
}
