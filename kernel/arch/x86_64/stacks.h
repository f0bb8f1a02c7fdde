/* The kernel's stacks. Each CPU has one for all of its kernel work and small ones for the exceptions that cannot
 * trust it; the page below each is unmapped, so that running over ends in a double fault and not in other data. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <arch/x86_64/regions.h>

/* Only the first CPUS CPUs will run. Answers the physical memory that the stacks of the others would take, which is
 * free then. Called once, before the window is made. */
struct region stacks_keep(unsigned cpus);

/* Which stack of a CPU: the main one, or the one of an interrupt stack table entry (IST_...). */
#define STACK_MAIN 0

/* The first address above stack WHICH of CPU number CPU. */
uint64_t stack_top(unsigned cpu, unsigned which);

bool stack_is_guard_page(uint64_t address);
