/* The debug shell's commands. They know the world by debug_call (ipc/debug.h) and by what they are given here. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct shell {
    void (*put)(void *context, const char *bytes, size_t length);
    void *context;
    uint64_t (*now)(void); /* the time-stamp counter */
    uint64_t tsc_hz;
    uint64_t wall_clock_seconds; /* UTC since 1970 when the TSC was wall_clock_tsc; 0: not known */
    uint64_t wall_clock_tsc;
};

#define COMMAND_COUNT 12u

/* Their names, in the order of `help`. */
extern const char *const command_names[COMMAND_COUNT];

/* Does what LINE asks for and prints what comes of it. */
void command_run(struct shell *shell, const char *line);
