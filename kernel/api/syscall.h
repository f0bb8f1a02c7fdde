/* System calls and the other ways in which a thread needs the kernel. */
#pragma once

#include <core/cpu.h>

/* A system call of the current thread; registers are in its context. */
void syscall_handle(struct cpu *cpu, uint64_t destination, uint64_t info, int64_t number);

/* The debug calls (seL4_DebugPutChar …); false: NUMBER is none of them. */
bool syscall_debug(struct cpu *cpu, int64_t number);
