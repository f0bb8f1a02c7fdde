/* A hostile monitor on AMD-V: random fields, entries, guest code and second-level structures, drawn from a seed. */
#pragma once

#include "tests/kernel/svm_guest.h"

struct svm_fuzz_count {
    seL4_Word writes, entries; /* fields written with random values, and calls of seL4_VMEnter */
    seL4_Word exits, refused, signals; /* how these ended */
};

/* Each of ROUNDS writes some fields and enters. Every outcome is a result, and the machine is well afterwards: the monitor's
 * registers and memory, another guest, and another thread. */
struct svm_fuzz_count svm_fuzz(struct env *e, enum guest_mode mode, seL4_Word seed, unsigned rounds);
