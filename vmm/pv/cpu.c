#include "vmm/pv/cpu.h"

#include <string.h>

#define DR6_AT_RESET UINT64_C(0xffff0ff0)

void pv_cpu_init(struct pv_cpu *cpu, struct vcpu *vcpu, const struct guest_memory *memory, struct bus *bus)
{
    memset(cpu, 0, sizeof *cpu);
    cpu->vcpu = vcpu;
    cpu->memory = memory;
    cpu->bus = bus;
    cpu->dr6 = DR6_AT_RESET;
}
