/* beaml4-init, the root task: takes the machine over, starts the services and the VMs, and then answers. */
#include "beaml4-init/config.h"
#include "beaml4-init/init.h"
#include "runtime/runtime.h"

#include <sel4/beaml4.h>

#define HEAP_BYTES (2ul << 20)

extern const char __image_start[], __archive_start[];

static _Alignas(16) uint8_t heap_region[HEAP_BYTES];

/* init's state is too large for the stack. */
static struct init the_init;

void print_totals(const struct init *init)
{
    struct totals totals = resources_totals(&init->resources);

    log_printf("memory: %lu bytes free, %lu slots free", totals.bytes, totals.slots);
}

static void open_archive(struct init *init)
{
    const seL4_SlotRegion *frames = &init->resources.bootinfo->userImageFrames;
    size_t image = (frames->end - frames->start) << seL4_PageBits;
    size_t before = (size_t)(__archive_start - __image_start);
    enum archive_status status = archive_open(&init->archive, __archive_start, image > before ? image - before : 0);

    if (status != ARCHIVE_OK)
        log_printf("there is nothing to run: %s; make the image with ./mkiso.sh", archive_status_text(status));
}

static void read_config(struct init *init)
{
    const struct system_config *config;
    struct archive_member member;
    enum archive_status status = archive_find(&init->archive, CONFIG_MEMBER, &member);

    if (status != ARCHIVE_OK) {
        log_printf("no VMs: the configuration (" CONFIG_MEMBER "): %s", archive_status_text(status));
        return;
    }
    const char *problem = config_open(&config, member.bytes, member.length);
    if (problem) {
        log_printf("no VMs: the configuration (" CONFIG_MEMBER ") cannot be used: %s", problem);
        return;
    }
    init->vm_count = config->vm_count;
    for (unsigned i = 0; i < init->vm_count; i++) {
        init->vm[i].chosen = config->vm[i];
        init->vm[i].config = &init->vm[i].chosen;
    }
}

static void describe(const struct init *init)
{
    const struct machine *machine = &init->machine;

    const char *virtualization = machine->features & SEL4_BEAML4_VTX   ? "VT-x"
                                 : machine->features & SEL4_BEAML4_SVM ? "AMD-V"
                                                                       : NULL;
    log_printf("time-stamp counter %lu kHz, hardware virtualization: %s%s%s", machine->tsc_hz / 1000,
               virtualization ? virtualization : "none (", virtualization ? "" : machine->vtx_reason,
               virtualization ? "" : ")");
    if (!machine->routes_known)
        log_printf("the firmware has no usable ACPI table of interrupts; taking a PC's usual wiring");
    if (!machine->wall_clock_known)
        log_printf("the machine's clock (CMOS) cannot be read; guests begin in 1970");
}

void root_main(const seL4_BootInfo *bootinfo)
{
    struct init *init = &the_init;
    const char *problem;

    log_use("init", NULL, seL4_CapNull);
    heap_use(heap_region, sizeof heap_region);
    if ((problem = resources_open(&init->resources, bootinfo)))
        panic("%s", problem);
    if ((problem = resources_take_slot(&init->resources, &init->endpoint)))
        panic("%s", problem);
    struct untyped *untyped;
    if (unialloc_alloc(&init->resources.memory, seL4_EndpointBits, &untyped) != UNIALLOC_OK ||
        seL4_Untyped_Retype(untyped->slot, seL4_EndpointObject, 0, INIT_CNODE, 0, 0, init->endpoint, 1) != seL4_NoError)
        panic("no memory for an endpoint");
    if (seL4_TCB_SetPriority(seL4_CapInitThreadTCB, seL4_CapInitThreadTCB, PRIORITY_INIT) != seL4_NoError)
        panic("init's priority cannot be set");

    open_archive(init);
    read_config(init);
    machine_open(&init->machine, &init->resources);
    describe(init);
    services_start(init);
    print_totals(init);
    for (unsigned i = 0; i < init->vm_count; i++)
        if (init->vm[i].config->autostart)
            vm_start(init, i);
    vm_report_idle(init);
    hypervisor_serve(init);
}
