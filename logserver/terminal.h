/* Whose console the terminal is. Pure.
 *
 * It belongs to the first guest that runs, and to the next one when that has ended. Ctrl-] gives it to the debug shell,
 * and from then on it stays where the user has put it. What is typed for a guest that does not run (any more) leads to
 * the shell as well, so that there is no console without a way out of it.
 */
#pragma once

#include "ipc/startup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TERMINAL_NO_ONE LOG_MAX_CLIENTS
#define TERMINAL_ESCAPE 0x1du /* Ctrl-] */

struct terminal {
    unsigned shell;    /* the debug shell's number as a client */
    unsigned attached; /* a client, or TERMINAL_NO_ONE */
    bool chosen;       /* by the user */
    bool runs[LOG_MAX_CLIENTS];
};

void terminal_init(struct terminal *terminal, unsigned shell);

/* Which clients can take input now. */
void terminal_update(struct terminal *terminal, const bool runs[LOG_MAX_CLIENTS]);

/* The user wants CLIENT's console; a number that no client can have changes nothing. */
void terminal_attach(struct terminal *terminal, unsigned client);

/* A byte was typed: gives the bytes that ATTACHED, as it is then, is to get, and returns how many. The shell gets
 * TERMINAL_ESCAPE each time that the terminal becomes its own. */
size_t terminal_type(struct terminal *terminal, uint8_t byte, uint8_t given[2]);

/* Whether output of consoles that are not attached is kept for later; without a shell no one could ask for it. */
bool terminal_keeps(const struct terminal *terminal);
