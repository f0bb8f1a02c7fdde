/* Translation of guest-physical addresses, as both ways of running guests need it: which root a thread's guest has, when
 * processors must forget what they remember, and how entries look to the hardware (SDM 3C 29.3; APM 2 15.25). */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <core/cpu.h>

struct tcb;

/* How entries look. Extended page tables (VT-x) and nested page tables (AMD-V) have the same levels, addresses and bit for
 * large pages. */
struct second_level_format {
    uint64_t present; /* an entry with none of these bits leads nowhere */
    uint64_t table;   /* what an entry that leads to a table has */
    uint64_t readable, writable; /* what a page needs for it; all that is readable is executable */
    uint64_t (*memory_type)(uint64_t attributes, unsigned level); /* seL4_X86_EPT_VMAttributes */
};

/* The machine's; set at boot. */
const struct second_level_format *second_level_format(void);
void second_level_use_nested_pages(void);

/* Physical address of the root that the thread's guest has by its capability, or of one that maps nothing. */
uint64_t second_level_root(const struct tcb *thread);

/* Entries were taken out of or changed in some structure: no guest runs on with what a processor remembers of it. */
void second_level_change(void);

/* Whether this CPU has to forget what it remembers before a guest runs; asking counts as having done so. */
bool second_level_changed(struct cpu *cpu);
