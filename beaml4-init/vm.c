/* The life of a VM: its monitor is made out of one pool, and ends with it. */
#include "beaml4-init/config.h"
#include "beaml4-init/init.h"
#include "ipc/hypervisor.h"
#include "runtime/runtime.h"

#include <sel4/beaml4.h>
#include <stdarg.h>
#include <stdio.h>

#define MONITOR_PROGRAM    "vmmserver"
#define MONITOR_CNODE_BITS 12u
#define PAGE_BYTES         (1ul << seL4_PageBits)
#define CONFIG_ADDRESS     (SERVICE_STARTUP + PAGE_BYTES)
#define MIB                (UINT64_C(1) << 20)

/* A VM being started. The functions answer NULL or why it cannot be. */
struct vm_start {
    struct init *init;
    struct vm *vm;
    unsigned index;
    uint64_t created_tsc;  /* when its making has begun */
    uint64_t file_address; /* where the next file can be mapped */
    enum vm_mode mode; /* how it will run */
};

/* A reason with details in it. */
static const char *because(struct vm *vm, const char *format, ...) __attribute__((format(printf, 2, 3)));

static const char *because(struct vm *vm, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(vm->reason, sizeof vm->reason, format, arguments);
    va_end(arguments);
    return vm->reason;
}

/* What PV mode cannot do without. Mappings in the upper half are needed by some guests only. */
#define PV_FEATURES (SEL4_BEAML4_FOREIGN | SEL4_BEAML4_SHADOW)

static const char *check_mode(struct vm_start *s)
{
    const struct machine *machine = &s->init->machine;

    bool has_vtx = machine->features & SEL4_BEAML4_VTX, has_svm = machine->features & SEL4_BEAML4_SVM;
    bool has_pv = (machine->features & PV_FEATURES) == PV_FEATURES;
    const char *reason = has_vtx                  ? "it has VT-x instead"
                         : has_svm                ? "it has AMD-V instead"
                         : machine->vtx_reason[0] ? machine->vtx_reason
                                                  : "the kernel says no more";

    s->mode = (enum vm_mode)s->vm->config->mode;
    if (s->mode == VM_MODE_AUTO)
        s->mode = has_vtx ? VM_MODE_VTX : has_svm ? VM_MODE_SVM : has_pv ? VM_MODE_PV : VM_MODE_AUTO;
    switch (s->mode) {
    case VM_MODE_AUTO:
        return because(s->vm, "it needs VT-x or AMD-V, which this CPU does not offer (%s), or another kernel for PV mode",
                       reason);
    case VM_MODE_VTX:
        return has_vtx ? NULL : because(s->vm, "it needs VT-x, which this CPU does not offer (%s)", reason);
    case VM_MODE_SVM:
        return has_svm ? NULL : because(s->vm, "it needs AMD-V, which this CPU does not offer (%s)", reason);
    default:
        return has_pv ? NULL : "its mode \"pv\" needs what this kernel does not have; boot it with the kernel that "
                               "beaml4 builds, without SEL4_KERNEL";
    }
}

const char *vm_choose_cpu(struct init *init, struct vm *vm, seL4_CPtr thread)
{
    uint64_t wanted = vm->config->affinity, cpus = init->resources.bootinfo->numNodes;
    uint64_t there = cpus < 64 ? (UINT64_C(1) << cpus) - 1 : UINT64_MAX;

    if (wanted == 0)
        return NULL;
    if ((wanted & there) == 0)
        return because(vm, "its affinity names no CPU of this computer, which has %lu, counted from 0", cpus);
    seL4_Word cpu = (seL4_Word)__builtin_ctzll(wanted & there);
    if (cpus > 1 && seL4_TCB_SetAffinity(thread, cpu) != seL4_NoError)
        return "the kernel did not move its thread to another CPU";
    return NULL;
}

static const char *find_member(struct vm_start *s, const char *what, const char *name, struct archive_member *member)
{
    enum archive_status status = archive_find(&s->init->archive, name, member);

    if (status == ARCHIVE_OK)
        return NULL;
    if (status == ARCHIVE_NO_MEMBER)
        return because(s->vm, "its %s \"%s\" is not in the boot image; pack it with tools/pack.py", what, name);
    return because(s->vm, "its %s \"%s\" cannot be read: %s", what, name, archive_status_text(status));
}

/* Says more than the allocator could in the middle of it. */
static const char *check_memory(struct vm_start *s)
{
    uint64_t memory = s->vm->config->memory_bytes;
    uint64_t others = vm_objects_bytes(s->vm->config, s->mode) + virtio_bytes(s->init, s->vm->config);
    uint64_t free = resources_totals(&s->init->resources).bytes;

    if (memory + others <= free)
        return NULL;
    return because(s->vm, "it wants %lu MiB of memory and %lu KiB for its monitor, and %lu MiB are free", memory / MIB,
                   others / 1024, free / MIB);
}

static const char *map_file(struct vm_start *s, const char *what, const struct archive_member *member,
                            struct startup_file *file)
{
    uint64_t bytes = (member->length + PAGE_BYTES - 1) & -PAGE_BYTES;
    const char *problem;

    if (bytes > SERVICE_WINDOW - s->file_address)
        return because(s->vm, "its %s \"%s\" is too large to be mapped", what, member->name);
    problem = process_share_bytes(&s->vm->monitor, s->file_address, member->bytes, member->length);
    if (problem)
        return because(s->vm, "its %s \"%s\": %s", what, member->name, problem);
    *file = (struct startup_file) { .bytes = (const void *)s->file_address, .length = member->length };
    s->file_address += bytes + PAGE_BYTES; /* an unmapped page behind it */
    return NULL;
}

static const char *give_untyped(struct vm_start *s, unsigned size_bits)
{
    struct process *monitor = &s->vm->monitor;
    uint32_t *count = &monitor->startup.vm.untyped_count;
    unsigned slot = SLOT_VM_UNTYPED + *count;
    const struct untyped *untyped;
    const char *problem;

    if (slot >= SLOT_VM_UNTYPED_MAX)
        return "free memory is in too many small pieces";
    if ((problem = pool_take_untyped(&monitor->pool, size_bits, &untyped)) ||
        (problem = process_give(monitor, slot, untyped->slot, seL4_AllRights, 0)))
        return problem;
    monitor->startup.vm.untyped[*count] = (struct startup_untyped) {
        .paddr = untyped->physical,
        .size_bits = untyped->size_bits,
        .slot = slot,
    };
    ++*count;
    return NULL;
}

/* BYTES in few untypeds of at least 2^LEAST_BITS. */
static const char *give_memory(struct vm_start *s, uint64_t bytes, unsigned least_bits)
{
    while (bytes > 0) {
        unsigned bits = vm_next_piece_bits(bytes, unialloc_largest_bits(&s->init->resources.memory));
        const char *problem = bits < least_bits ? "free memory is in too small pieces" : give_untyped(s, bits);

        if (problem)
            return problem;
        bytes -= UINT64_C(1) << bits;
    }
    return NULL;
}

/* The guest's RAM. Of pages of 2 MiB the last are pieces of their own, so that the guest can give them back. */
static const char *give_ram(struct vm_start *s)
{
    const struct vm_config *config = s->vm->config;
    uint64_t pieces = vm_single_pieces(config, s->mode);
    const char *problem = give_memory(s, config->memory_bytes - (pieces << VM_RAM_MIN_BITS), VM_RAM_MIN_BITS);

    for (uint64_t i = 0; i < pieces && !problem; i++)
        problem = give_untyped(s, VM_RAM_MIN_BITS);
    return problem;
}

static const char *give_ept_root(struct vm_start *s)
{
    struct process *monitor = &s->vm->monitor;
    seL4_CPtr root;
    const char *problem = pool_make(&monitor->pool, seL4_X86_EPTPML4Object, 0, &root);

    if (problem)
        return problem;
    if (seL4_X86_ASIDPool_Assign(seL4_CapInitThreadASIDPool, root) != seL4_NoError)
        return "the kernel has no identifier left for a guest's memory";
    return process_give(monitor, SLOT_VM_EPT_ROOT, root, seL4_AllRights, 0);
}

/* Identifiers of the VM's own, so that it cannot use up everybody's. */
static const char *give_asid_pool(struct vm_start *s)
{
    struct process *monitor = &s->vm->monitor;
    const struct untyped *untyped;
    const char *problem;
    seL4_CPtr slot;

    if ((problem = pool_take_untyped(&monitor->pool, seL4_ASIDPoolBits, &untyped)) ||
        (problem = pool_take_slot(&monitor->pool, &slot)))
        return problem;
    if (seL4_X86_ASIDControl_MakePool(seL4_CapASIDControl, untyped->slot, INIT_CNODE, slot, INIT_DEPTH) != seL4_NoError)
        return because(s->vm, "the kernel has no identifiers left for its address spaces; PV mode takes %u machines at a "
                       "time", (1u << seL4_NumASIDPoolsBits) - 1);
    return process_give(monitor, SLOT_VM_ASID_POOL, slot, seL4_AllRights, 0);
}

static const char *give_channels(struct vm_start *s)
{
    const seL4_CapRights_t may_call = seL4_CapRights_new(1, 0, 0, 1);
    struct process *monitor = &s->vm->monitor;
    unsigned client = CLIENT_FIRST_VM + s->index;
    const char *problem;

    if ((problem = process_give(monitor, SLOT_HYPERVISOR, s->init->endpoint, may_call,
                                HV_BADGE(BADGE_MONITOR, s->index))) ||
        (problem = log_clients_attach(&s->init->log, client, monitor)))
        return problem;
    return time_clients_add(&s->init->time, client, monitor);
}

static void fill_startup(struct vm_start *s)
{
    const struct machine *machine = &s->init->machine;
    struct startup *startup = &s->vm->monitor.startup;

    startup->role = ROLE_VMM;
    startup->tsc_hz = machine->tsc_hz;
    startup->wall_clock_seconds = machine->wall_clock_seconds;
    startup->wall_clock_tsc = machine->wall_clock_tsc;
    startup->first_free_slot = SLOT_VM_UNTYPED_MAX;
    startup->vm.created_tsc = s->created_tsc;
    startup->vm.vm_index = s->index;
    startup->vm.mode = s->mode;
    startup->vm.kernel_features = s->init->machine.features;
    startup->vm.config = (const struct vm_config *)CONFIG_ADDRESS;
}

static const char *make_monitor(struct vm_start *s, const struct archive_member *program)
{
    struct process *monitor = &s->vm->monitor;
    char name[CONFIG_NAME_BYTES];
    const char *problem;

    snprintf(name, sizeof name, "vmm%u", s->index);
    problem = process_create(monitor, &s->init->resources, name, program, MONITOR_CNODE_BITS,
                             vm_heap_bytes(s->vm->config, s->mode));
    if (problem)
        return because(s->vm, "its monitor (" MONITOR_PROGRAM "): %s", problem);
    return process_give_itself(monitor);
}

static const char *start(struct vm_start *s)
{
    const struct vm_config *config = s->vm->config;
    struct process *monitor = &s->vm->monitor;
    struct archive_member program, kernel, initrd;
    const char *problem;

    if ((problem = config_check_vm(config)) || (problem = check_mode(s)) ||
        (problem = find_member(s, "kernel", config->kernel, &kernel)) ||
        (config->initrd[0] && (problem = find_member(s, "initrd", config->initrd, &initrd))) ||
        (problem = find_member(s, "monitor", MONITOR_PROGRAM, &program)) || (problem = check_memory(s)))
        return problem;
    if (!s->init->service[SERVICE_LOG].runs || !s->init->service[SERVICE_TIME].runs)
        return "it cannot do without logserver and timeserver, and one of them does not run";

    if ((problem = make_monitor(s, &program)) || (problem = vm_choose_cpu(s->init, s->vm, monitor->tcb)) ||
        (problem = give_ram(s)) ||
        (problem = give_memory(s, vm_objects_bytes(config, s->mode), seL4_PageBits)) ||
        (problem = s->mode == VM_MODE_PV ? give_asid_pool(s) : give_ept_root(s)) ||
        (problem = map_file(s, "kernel", &kernel, &monitor->startup.vm.kernel)) ||
        (config->initrd[0] && (problem = map_file(s, "initrd", &initrd, &monitor->startup.vm.initrd))) ||
        (problem = give_channels(s)) || (problem = statistics_open(s->init, s->vm)) ||
        (problem = virtio_start(s->init, s->index)) ||
        (problem = address_space_fill_page(&monitor->space, CONFIG_ADDRESS, seL4_CanRead, config, 0, sizeof *config)))
        return problem;
    if (config->rtc == VM_RTC_PASSTHROUGH &&
        (problem = process_give(monitor, SLOT_VM_RTC_PORTS, s->init->machine.rtc_ports, seL4_AllRights, 0)))
        return problem;
    fill_startup(s);
    /* In PV mode the guest itself is a thread with the priority of the configuration, and its monitor, which serves
     * it and hears of interrupts, is above. */
    return process_start(monitor, s->init->endpoint, HV_BADGE(BADGE_FAULT_MONITOR, s->index),
                         config->priority + (s->mode == VM_MODE_PV));
}

/* What can be done about it, where init knows. */
static const char *advice(const struct vm_start *s)
{
    uint32_t features = s->init->machine.features;

    switch (s->vm->config->mode) {
    case VM_MODE_AUTO:
        return features & (SEL4_BEAML4_VTX | SEL4_BEAML4_SVM) || (features & PV_FEATURES) == PV_FEATURES
                   ? ""
                   : ". Use ./simulate.sh --machine bochs, or a computer with VT-x or AMD-V";
    case VM_MODE_VTX:
        return features & SEL4_BEAML4_VTX ? "" : ". Use ./simulate.sh --machine bochs, or a computer with VT-x";
    case VM_MODE_SVM:
        return features & SEL4_BEAML4_SVM ? "" : ". Use ./simulate.sh --machine qemu, or a computer with AMD-V";
    default:
        return "";
    }
}

/* The monitor first stands still, so that it does not see its devices vanish. */
static void destroy(struct init *init, unsigned index)
{
    struct vm *vm = &init->vm[index];

    process_suspend(&vm->monitor);
    time_clients_remove(&init->time, CLIENT_FIRST_VM + index);
    log_clients_detach(&init->log, CLIENT_FIRST_VM + index);
    virtio_end(vm);
    process_destroy(&vm->monitor);
    statistics_close(init, vm);
    vm->state = VM_OFF;
}

static uint64_t bytes_beside_memory(const struct vm *vm)
{
    uint64_t bytes = vm->monitor.pool.bytes - vm->config->memory_bytes;

    for (unsigned i = 0; i < VM_DISKS_MAX; i++)
        if (vm->virtio[i].exists)
            bytes += vm->virtio[i].pool.bytes;
    return bytes;
}

void vm_start(struct init *init, unsigned index)
{
    struct vm *vm = &init->vm[index];
    struct vm_start s = { .init = init, .vm = vm, .index = index, .created_tsc = __builtin_ia32_rdtsc(),
                          .file_address = SERVICE_FILES };
    const char *problem = start(&s);

    if (problem) {
        /* A name that fails its check is not printed. */
        const char *name = config_check_vm(vm->config) ? "?" : vm->config->name;
        log_printf("VM %u \"%s\" not started: %s%s", index, name, problem, advice(&s));
        destroy(init, index);
        return;
    }
    vm->state = VM_STARTED;
    vm->mode = s.mode;
    vm->paused = false;
    vm->starts++;
    vm->started_tsc = __builtin_ia32_rdtsc();
    log_clients_set_console(&init->log, CLIENT_FIRST_VM + index, true);
    log_printf("VM %u \"%s\" started: %lu MiB, and %lu KiB for its monitor", index, vm->config->name,
               vm->config->memory_bytes / MIB, bytes_beside_memory(vm) / 1024);
}

static void report_end(const struct vm *vm, unsigned index, enum vm_end end, bool again)
{
    const char *name = vm->config->name;

    switch (end) {
    case VM_END_POWERED_OFF:
        log_printf("VM %u \"%s\" powered off", index, name);
        break;
    case VM_END_REBOOT:
        log_printf("VM %u \"%s\" reboots", index, name);
        break;
    case VM_END_REFUSED:
        log_printf("VM %u \"%s\" cannot run, its monitor says why; mend its image or configuration", index, name);
        break;
    case VM_END_CRASHED:
        log_printf("VM %u \"%s\" crashed; it %s", index, name,
                   again ? "starts again, as its configuration wants" : "stays off, as its configuration wants");
        break;
    case VM_END_KILLED:
        log_printf("VM %u \"%s\" killed", index, name);
        break;
    }
}

void vm_end(struct init *init, unsigned index, enum vm_end end)
{
    struct vm *vm = &init->vm[index];

    if (vm->state == VM_OFF)
        return;
    if (end == VM_END_CRASHED && vm->crashes < UINT32_MAX)
        vm->crashes++;
    bool again = vm_starts_again(vm->config, end, vm->crashes);

    log_clients_set_console(&init->log, CLIENT_FIRST_VM + index, false);
    destroy(init, index);
    report_end(vm, index, end, again);
    print_totals(init);
    if (again)
        vm_start(init, index);
    else
        vm_report_idle(init);
}

bool vm_pause(struct init *init, unsigned index)
{
    struct vm *vm = &init->vm[index];

    if (seL4_TCB_Suspend(vm->monitor.tcb) != seL4_NoError)
        return false;
    vm->paused = true;
    return true;
}

/* What the thread was waiting for, or its guest's turn, it asks for again. */
bool vm_resume(struct init *init, unsigned index)
{
    struct vm *vm = &init->vm[index];

    if (seL4_TCB_Resume(vm->monitor.tcb) != seL4_NoError)
        return false;
    vm->paused = false;
    return true;
}

void vm_report_idle(const struct init *init)
{
    for (unsigned i = 0; i < init->vm_count; i++)
        if (init->vm[i].state != VM_OFF)
            return;
    log_printf("no VM is running; the rest of the system stays up");
}
