/* A line that is being typed on a terminal: editing, history, completion. Pure; takes any bytes.
 *
 * Printable characters, Backspace, Delete, arrows, Home and End (Ctrl-A, Ctrl-E), Ctrl-U (to the beginning), Ctrl-K (to
 * the end), Ctrl-C (a new line), Tab. What it puts out is for a terminal that knows the sequences of a VT100.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_BYTES   64u /* with the terminating zero: with its prompt, a line of a terminal */
#define LINE_HISTORY 16u

struct line_editor {
    const char *prompt;
    const char *const *words; /* what Tab completes: the first word, and the second one after "help" */
    unsigned word_count;
    void (*put)(void *context, const char *bytes, size_t length);
    void *context;

    char text[LINE_BYTES]; /* zero-terminated */
    size_t length, cursor;
    char history[LINE_HISTORY][LINE_BYTES]; /* line n is in n modulo LINE_HISTORY */
    unsigned lines; /* how many there have been */
    unsigned back;  /* how many lines before the newest one is shown; 0: the one being typed, */
    char typed[LINE_BYTES]; /* which is kept here meanwhile */
    enum { LINE_PLAIN, LINE_ESCAPE, LINE_SEQUENCE } state;
    unsigned parameter; /* of the escape sequence */
    bool after_return;  /* the last byte was a carriage return: a line feed behind it belongs to it */
};

/* Shows the prompt and the line anew. */
void line_editor_show(struct line_editor *editor);

/* Takes a byte. True: TEXT is a whole line; line_editor_next is due before the next byte. */
bool line_editor_type(struct line_editor *editor, uint8_t byte);

/* Puts the line away and begins the next. */
void line_editor_next(struct line_editor *editor);
