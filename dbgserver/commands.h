/* The debug shell's commands. They know the world by debug_call (ipc/debug.h) and by what they are given here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHELL_RATES 64u

struct shell {
    void (*put)(void *context, const char *bytes, size_t length);
    void *context;
    uint64_t (*now)(void); /* the time-stamp counter */
    void (*ask)(unsigned whom); /* one round trip, for ipcbench: see enum shell_peer */
    uint64_t tsc_hz;
    uint64_t wall_clock_seconds; /* UTC since 1970 when the TSC was wall_clock_tsc; 0: not known */
    uint64_t wall_clock_tsc;

    bool following; /* the terminal shows one client's lines until command_stop */
    struct {        /* what `ps` has seen of a process when it was asked last */
        uint64_t tsc, started_tsc, exits, waited;
    } last[SHELL_RATES];
};

enum shell_peer { SHELL_INIT, SHELL_TIMESERVER, SHELL_LOGSERVER, SHELL_PEERS };

#define COMMAND_COUNT 19u

/* Their names, in the order of `help`. */
extern const char *const command_names[COMMAND_COUNT];

/* Does what LINE asks for and prints what comes of it. */
void command_run(struct shell *shell, const char *line);

/* A key while FOLLOWING. */
void command_stop(struct shell *shell);
