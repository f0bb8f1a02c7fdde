/* The guest's stack, for people to read. Pure. */
#pragma once

#include "vmm/guest_memory.h"
#include "vmm/trace.h"

/* The first words from RSP upwards, four in a line, as far as they can be read. */
void stack_write(struct vcpu *vcpu, const struct guest_memory *memory, trace_line *line, void *context);
