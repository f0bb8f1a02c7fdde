/* A text screen of 80 by 25 cells, as VGA has it: characters put out in a row, with the sequences of a VT100 that
 * programs use most. Pure; takes any bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCREEN_COLUMNS 80u
#define SCREEN_ROWS    25u
#define SCREEN_CELLS   (SCREEN_COLUMNS * SCREEN_ROWS)

#define SCREEN_WHITE_ON_BLUE 0x1fu

#define SCREEN_PARAMETERS 4u

struct screen {
    uint16_t cell[SCREEN_CELLS]; /* character, and in the upper byte its attribute */
    unsigned row, column;        /* of the cursor; COLUMN may be one behind the last: the next character wraps */
    uint8_t attribute;
    enum { SCREEN_PLAIN, SCREEN_ESCAPE, SCREEN_SEQUENCE, SCREEN_TITLE } state;
    unsigned parameter[SCREEN_PARAMETERS], parameters;
};

void screen_init(struct screen *screen);
void screen_put(struct screen *screen, const uint8_t *bytes, size_t count);

/* Where the cursor stands, as a cell's number. */
unsigned screen_cursor(const struct screen *screen);
