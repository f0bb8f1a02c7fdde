/* The state in which a virtual CPU begins to execute its guest. Pure. */
#pragma once

#include "algorithms/vcpu.h"
#include "vmm/loader.h"

void start_vcpu(struct vcpu *vcpu, const struct boot_state *state);
