/* The second half of the boot: the processor, the interrupt controllers, the root task. */
#include <arch/x86_64/boot_root.h>

#include <arch/x86_64/apic.h>
#include <arch/x86_64/console.h>
#include <arch/x86_64/ioapic.h>
#include <arch/x86_64/memory.h>
#include <core/scheduler.h>
#include <lib/string.h>
#include <object/vcpu.h>
#include <object/vspace.h>

/* What runs where there is nothing to run. It has no registers: the idle loop is the kernel's. */
static void create_idle_thread(struct root_task *root)
{
    struct tcb *idle = physical_to_kernel(root_task_memory(root, 1ul << seL4_TCBBits));

    idle->state = THREAD_IDLE;
    idle->flags = seL4_TCBFlag_fpuDisabled;
    idle->cpu = root->cpu->index;
    memcpy(idle->name, "idle_thread", sizeof "idle_thread");
    root->cpu->idle = idle;
    root->cpu->current = idle;
}

static uint64_t total(const struct regions *regions)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < regions->count; i++)
        bytes += regions->list[i].end - regions->list[i].start;
    return bytes;
}

void boot_cpu_and_root_task(struct boot *boot)
{
    struct cpu *cpu = &kernel.cpus[0];
    struct root_task root;

    cpu_arch_init(&cpu->arch, 0);
    pic_disable();
    apic_init_cpu(&cpu->arch);
    ioapic_init(boot->acpi.ioapic_count, (uint8_t)cpu->arch.apic_id);
    boot->clock = clock_measure();
    kernel.clock = boot->clock;
    kernel.cpu_count = CPUS_STARTED;
    vcpu_init_cpu(cpu);
    vspace_init();

    root_task_create(&root, cpu, boot);
    create_idle_thread(&root);
    untypeds_create(&root);
    root.info->empty = (seL4_SlotRegion) { root.next_slot, 1ul << CONFIG_ROOT_CNODE_SIZE_BITS };
    kernel_log("TSC %lu kHz; %lu KiB of RAM free, kernel and root task take %lu KiB", boot->clock.tsc_hz / 1000,
               total(&boot->memory.free) / 1024, (total(&boot->memory.ram) - total(&boot->memory.free)) / 1024);
    if (vcpu_available())
        kernel_log("virtual CPUs by %s", vcpu_kind());
    else
        kernel_log("no virtual CPUs: %s", vcpu_unavailable_reason());

    apic_start_tick(boot->clock.apic_timer_per_ms);
    schedule_and_leave(cpu);
}
