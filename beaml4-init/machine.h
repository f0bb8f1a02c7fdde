/* What the computer has: clocks, interrupt wiring, VT-x; and the right to use its ports and interrupts, for handing on.
 * Functions that can fail answer NULL or why they failed. */
#pragma once

#include "beaml4-init/madt.h"
#include "beaml4-init/pool.h"

struct machine {
    struct resources *resources;
    struct irq_route route[ISA_IRQS];
    bool routes_known;           /* the firmware's tables said so, else as a PC has them by default */
    uint64_t hpet;               /* physical address of its registers; 0: there is none */
    uint64_t tsc_hz;             /* 0: not known */
    bool wall_clock_known;
    uint64_t wall_clock_seconds; /* UTC since 1970 when the TSC was wall_clock_tsc */
    uint64_t wall_clock_tsc;
    uint32_t features;           /* of the kernel and the CPU: SEL4_BEAML4_VTX … */
    char vtx_reason[64];         /* why there is no hardware virtualization, in the kernel's words */
    seL4_CPtr rtc_ports;
};

void machine_open(struct machine *machine, struct resources *resources);

/* Ports FIRST to LAST, as a capability in a slot of POOL. */
const char *machine_ports(struct pool *pool, unsigned first, unsigned last, seL4_CPtr *slot);

/* The ISA interrupt IRQ, which signals NOTIFICATION (with its badge) from now on; the handler's capability is in a slot
 * of POOL. */
const char *machine_irq(const struct machine *machine, struct pool *pool, unsigned irq, seL4_CPtr notification,
                        seL4_CPtr *slot);
