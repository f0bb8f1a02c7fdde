/* What guests of guest.h need on AMD-V alone. */
#pragma once

#include "tests/kernel/guest.h"

#include <sel4/beaml4.h>
#include <sel4/vmcb.h>

/* The registers as that mode starts, for a program of BYTES that is in memory already. CPUID and HLT exit. */
void svm_load(struct guest *g, enum guest_mode mode, size_t bytes);

/* A guest of the root thread; skips the case where there is no AMD-V. */
struct guest new_svm_guest(struct env *e);

/* Of the instruction that exited, as long as those are that the programs contain; processors need not tell. */
seL4_Word svm_instruction_length(const struct guest *g);
