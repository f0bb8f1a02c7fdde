/* The guest's console: two rings that logserver has the other ends of. */
#pragma once

#include "ipc/startup.h"
#include "vmm/runtime.h"

struct console {
    struct byte_ring *output, *input;
    struct machine *machine;
    struct task input_task, flush_task;
    bool unannounced; /* logserver has not been told of bytes in the output ring */
};

void console_init(struct console *console, struct runtime *runtime, const struct startup *startup);

/* Tells logserver of bytes that it does not know of yet. */
void console_flush(struct console *console);
