/* From the boot loader to the root task, on the boot CPU. */
#include <arch/x86_64/boot.h>

#include <arch/x86_64/acpi.h>
#include <arch/x86_64/apic.h>
#include <arch/x86_64/console.h>
#include <arch/x86_64/ioapic.h>
#include <arch/x86_64/memory.h>
#include <arch/x86_64/stacks.h>
#include <arch/x86_64/window.h>
#include <lib/string.h>

#define PAGE     4096ul
#define FOUR_GIB 0x100000000ul

/* Processors write interrupts to addresses in this MiB (SDM 3A 11.11.1), so no user gets any of it. */
#define MESSAGE_INTERRUPTS_START 0xfee00000ul
#define MESSAGE_INTERRUPTS_END   0xff000000ul

extern char kernel_image_end[];

/* Too large for the boot stack, and needed only until the root task runs. */
static struct boot boot;

static _Noreturn void refuse(const char *reason)
{
    kernel_panic("the system cannot start: %s", reason);
}

/* Finds out what is free: RAM without the kernel and the module, and what of the kernel's is not needed. */
static void survey_memory(struct boot_memory *memory, const struct loader_info *loader)
{
    memory->ram = loader->ram;
    if (!regions_remove(&memory->ram, WINDOW_RAM_END, UINT64_MAX))
        refuse("the memory map has too many pieces");
    memory->free = memory->ram;

    uint64_t module_start = loader->module.start & ~(PAGE - 1);
    uint64_t module_end = (loader->module.end + PAGE - 1) & ~(PAGE - 1);
    struct region unused_stacks = stacks_keep(CPUS_STARTED);
    if (!regions_remove(&memory->free, KERNEL_LOAD_ADDRESS, kernel_to_physical(kernel_image_end)) ||
        !regions_add(&memory->free, unused_stacks.start, unused_stacks.end) ||
        !regions_remove(&memory->free, module_start, module_end))
        refuse("the memory map has too many pieces");
}

/* Puts the root task's image into memory below 4 GiB, which the boot page tables map, and frees the module's. */
static void load_image(struct boot *state)
{
    struct boot_memory *memory = &state->memory;
    const struct region *module = &state->loader.module;
    const void *file = physical_to_kernel(module->start);

    if (!root_image_check(file, module->end - module->start, &state->image))
        refuse("the root task is unusable");

    uint64_t size = state->image.end - state->image.start, start;
    if (!regions_find_lowest(&memory->free, KERNEL_LOAD_ADDRESS, size, PAGE, &start) || start + size > FOUR_GIB ||
        !regions_remove(&memory->free, start, start + size)) {
        kernel_log("the root task needs %lu KiB in one piece below 4 GiB", size / 1024);
        refuse("not enough memory for the root task");
    }
    root_image_load(file, &state->image, physical_to_kernel(start));
    state->image_address = start;

    /* Only whole pages of RAM; what the loader put around the module stays with the kernel. */
    for (unsigned i = 0; i < memory->ram.count; i++) {
        struct region ram = memory->ram.list[i];
        uint64_t from = (module->start + PAGE - 1) & ~(PAGE - 1), to = (module->end + PAGE - 1) & ~(PAGE - 1);

        if (from < ram.start)
            from = ram.start;
        if (to > ram.end)
            to = ram.end;
        if (!regions_add(&memory->free, from, to))
            refuse("the memory map has too many pieces");
    }
}

static void map_devices(struct boot *state)
{
    struct acpi_info *acpi = &state->acpi;
    bool fits = regions_add(&state->memory.devices, MESSAGE_INTERRUPTS_START, MESSAGE_INTERRUPTS_END) &&
                regions_add(&state->memory.devices, acpi->local_apic, acpi->local_apic + PAGE);

    window_map_device(0, acpi->local_apic);
    for (unsigned i = 0; i < acpi->ioapic_count; i++) {
        uint64_t page = acpi->ioapics[i].address & ~(PAGE - 1);
        window_map_device(1 + i, page);
        fits = fits && regions_add(&state->memory.devices, page, page + PAGE);
    }
    if (!fits)
        refuse("the memory map has too many pieces");
}

void kernel_boot(uint32_t magic, uint32_t information)
{
    struct boot_memory *memory = &boot.memory;

    console_init();
    kernel_log("beaml4 kernel, API of seL4 16.0.0, x86-64");
    if (!loader_info_read(&boot.loader, magic, information))
        refuse("the boot loader's information is unusable");
    acpi_read(&boot.acpi, &boot.loader);
    survey_memory(memory, &boot.loader);
    kernel_log("Multiboot %u, root task \"%s\" (%lu KiB), %u processors of which one is used%s", boot.loader.multiboot,
               boot.loader.module_name, (boot.loader.module.end - boot.loader.module.start) / 1024,
               boot.acpi.cpu_count, boot.acpi.has_dmar ? ", IOMMU left off" : "");
    load_image(&boot);

    cpu_patch_code();
    if (!window_init(&memory->ram, &memory->free))
        refuse("not enough memory for the kernel");
    map_devices(&boot);
    boot_cpu_and_root_task(&boot);
}
