/* IN, OUT, INS, OUTS of the guest on the bus of ports. Pure. */
#pragma once

#include "algorithms/vcpu.h"
#include "vmm/bus.h"
#include "vmm/guest_memory.h"

enum port_io_result {
    PORT_IO_DONE,      /* the guest can go on, perhaps with an exception that the vcpu has pending */
    PORT_IO_NO_MEMORY, /* the memory operand of a string form cannot be reached */
};

enum port_io_result port_io(struct vcpu *vcpu, struct bus *bus, const struct guest_memory *memory,
                            const struct vcpu_exit *exit);
