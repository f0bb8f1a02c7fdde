#include <core/cpu.h>

#include <arch/x86_64/apic.h>
#include <sel4/config.h>

struct kernel kernel;

bool preemption_point(struct cpu *cpu)
{
    if (++cpu->work_units < CONFIG_MAX_NUM_WORK_UNITS_PER_PREEMPTION)
        return false;
    cpu->work_units = 0;
    return apic_interrupt_pending();
}
