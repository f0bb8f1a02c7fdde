/* A virtual CPU for tests whose registers are an array, and which never runs. */
#pragma once

#include "algorithms/vcpu.h"

struct fake_vcpu {
    struct vcpu vcpu;
    uint64_t real[VCPU_REGISTER_COUNT]; /* what the back end has */
    unsigned reads, writes;             /* how often it was asked */
};

/* All registers zero. */
void fake_vcpu_init(struct fake_vcpu *fake);

/* As an exit out of long mode, CPL 0, with paging structures at CR3: everything is known without asking. */
void fake_vcpu_long_mode(struct fake_vcpu *fake, uint64_t cr3);
