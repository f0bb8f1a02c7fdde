/* Puts the lines of many processes and the bytes of one guest's console onto one terminal.
 *
 * Pure. A process's line appears whole, with its tag, and on a line of its own, also when the guest has left the
 * cursor behind a prompt; of what the guest prints nothing is changed or lost. Input that does not fit into the
 * output queue stays with the caller, so that a slow terminal slows the readers down and nothing else.
 */
#pragma once

#include "ipc/startup.h"
#include "logserver/backlog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MULTIPLEXER_LINE_BYTES   256u
#define MULTIPLEXER_OUTPUT_BYTES 4096u
/* Processes, and behind them the consoles of guests that do not own the terminal. */
#define MULTIPLEXER_SOURCES      (2u * LOG_MAX_CLIENTS)
#define MULTIPLEXER_ALL          MULTIPLEXER_SOURCES

struct multiplexer {
    struct backlog *kept; /* gets a copy of each line; or NULL */
    unsigned only;        /* the source whose lines are shown, others' are only kept; or MULTIPLEXER_ALL */
    bool mid_line; /* the terminal's cursor is behind something that the guest printed */
    size_t first;  /* of the queue's waiting bytes */
    size_t waiting;
    uint8_t output[MULTIPLEXER_OUTPUT_BYTES];
    struct {
        uint16_t length;
        char text[MULTIPLEXER_LINE_BYTES];
    } line[MULTIPLEXER_SOURCES]; /* begun, not finished */
};

/* Takes text of SOURCE (below MULTIPLEXER_SOURCES) and queues each line that it finishes, tagged "[TAG] "; a line
 * that is too long is broken. Returns how many bytes were taken; less than LENGTH: the queue is full. */
size_t multiplexer_add_lines(struct multiplexer *m, unsigned source, const char *tag, const void *text, size_t length);

/* Queues bytes of the console as they are; returns how many were taken. */
size_t multiplexer_add_console(struct multiplexer *m, const void *bytes, size_t length);

/* Lets what follows begin on a line of its own; false when the queue is full. */
bool multiplexer_end_line(struct multiplexer *m);

/* Queues a note that begins with NUMBER, as a line of its own; false when the queue is full. */
bool multiplexer_add_note(struct multiplexer *m, const char *tag, uint64_t number, const char *words);

/* Takes up to LENGTH bytes for the terminal; returns how many there were. */
size_t multiplexer_take(struct multiplexer *m, void *bytes, size_t length);
