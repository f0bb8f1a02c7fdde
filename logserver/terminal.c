#include "logserver/terminal.h"

#include <string.h>

void terminal_init(struct terminal *terminal, unsigned shell)
{
    *terminal = (struct terminal) { .shell = shell, .attached = TERMINAL_NO_ONE };
}

static bool runs(const struct terminal *terminal, unsigned client)
{
    return client < LOG_MAX_CLIENTS && terminal->runs[client];
}

/* The first guest that runs, or no one. */
static unsigned first_guest(const struct terminal *terminal)
{
    for (unsigned i = 0; i < LOG_MAX_CLIENTS; i++)
        if (runs(terminal, i) && i != terminal->shell)
            return i;
    return TERMINAL_NO_ONE;
}

void terminal_update(struct terminal *terminal, const bool now[LOG_MAX_CLIENTS])
{
    memcpy(terminal->runs, now, sizeof terminal->runs);
    /* A shell that is gone for good leaves no way to choose. */
    if (terminal->attached == terminal->shell && !runs(terminal, terminal->shell))
        terminal->chosen = false;
    if (terminal->chosen || runs(terminal, terminal->attached))
        return;
    unsigned guest = first_guest(terminal);
    if (guest != TERMINAL_NO_ONE)
        terminal->attached = guest;
}

void terminal_attach(struct terminal *terminal, unsigned client)
{
    if (client >= LOG_MAX_CLIENTS)
        return;
    terminal->attached = client;
    terminal->chosen = true;
}

size_t terminal_type(struct terminal *terminal, uint8_t byte, uint8_t given[2])
{
    bool to_shell = byte == TERMINAL_ESCAPE || !runs(terminal, terminal->attached);
    size_t count = 0;

    if (to_shell && runs(terminal, terminal->shell)) {
        terminal_attach(terminal, terminal->shell);
        given[count++] = TERMINAL_ESCAPE;
        if (byte == TERMINAL_ESCAPE)
            return count;
    }
    if (!runs(terminal, terminal->attached))
        return 0;
    given[count++] = byte;
    return count;
}

bool terminal_keeps(const struct terminal *terminal)
{
    return runs(terminal, terminal->shell);
}
