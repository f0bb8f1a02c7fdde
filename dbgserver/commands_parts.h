/* What the files of commands share. */
#pragma once

#include "dbgserver/commands.h"
#include "ipc/debug.h"

/* More than there can be; an end to asking, whatever init answers. */
#define PROCESSES_MAX 128u

/* WORD: what was typed behind the command's name, as many as COUNT says, which its table entry allows. */
typedef void command_function(struct shell *shell, unsigned count, char *const *word);

command_function run_affinity, run_caps, run_console, run_create, run_dump, run_halt, run_ipcbench, run_kill, run_log,
    run_mem, run_mode, run_pause, run_ps, run_reboot, run_resume, run_stats, run_time, run_trace;

void print(struct shell *shell, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What init has answered. */
void report(struct shell *shell, const char *what, enum hypervisor_status status);

/* The process of that index; false: there is none. */
bool read_process(unsigned n, struct debug_process *process);

/* A VM by its name, or by its number; false after saying that there is none. */
bool find_vm(struct shell *shell, const char *argument, struct debug_process *vm);

/* A process of any kind by its name, a VM by its number as well, and its index; false after saying that there is none. */
bool find_process(struct shell *shell, const char *argument, struct debug_process *process, unsigned *n);

/* A service by its name; false: there is none, of which nothing is said. */
bool find_service(const char *argument, struct debug_process *service);
