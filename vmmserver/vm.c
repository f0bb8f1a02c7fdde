#include "vmmserver/vm.h"

#include "ipc/hypervisor.h"
#include "runtime/runtime.h"
#include "vmm/acpi_tables.h"
#include "vmm/exits.h"
#include "vmm/loader.h"
#include "vmm/pv/pvm_exits.h"
#include "vmm/stack.h"
#include "vmm/start.h"
#include "vmmserver/pv.h"

#include <cpuid.h>
#include <stdio.h>

#define RTC_FIRST_PORT 0x70u
#define RTC_LAST_PORT  0x71u

#define CPUID_1_OSXSAVE (UINT32_C(1) << 27)

static uint64_t read_tsc(void)
{
    return __builtin_ia32_rdtsc();
}

static struct cpuid_values read_cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_values values;

    __cpuid_count(leaf, subleaf, values.eax, values.ebx, values.ecx, values.edx);
    return values;
}

/* What the kernel has enabled of the extended state: that is what a guest can use. */
static uint64_t read_xcr0(void)
{
    uint32_t low, high;

    if (!(read_cpuid(1, 0).ecx & CPUID_1_OSXSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

void vm_log_line(const char *text)
{
    log_printf("%s", text);
}

static void stop(struct task *task)
{
    task->runtime->stopped = true;
}

/* init destroys the frame, and with it where it is mapped. */
static bool give_page(void *context, uint64_t address)
{
    struct vm *vm = context;
    struct pagetable_page page;

    if (!vm->ram.has_second_level || !pagetable_find(&vm->ram.guest, address, &page))
        return false;
    seL4_X86_Page_GetAddress_t frame = seL4_X86_Page_GetAddress(page.handle);
    return frame.error == seL4_NoError && hypervisor_balloon(SLOT_HYPERVISOR, frame.paddr) == HV_OK;
}

static void dump_line(void *context, const char *text)
{
    (void)context;
    log_printf("%s", text);
}

/* Registers and stack. All of it fits into the log's ring; where somebody has filled that, some is lost. */
static void dump(struct task *task)
{
    struct vm *vm = task->context;

    log_printf("VM %u \"%s\", at %lu exits:", vm->startup->vm.vm_index, vm->config->name, vm->monitor.trace->seen);
    trace_write_registers(&vm->monitor.vcpu, dump_line, NULL);
    stack_write(&vm->monitor.vcpu, &vm->monitor.machine.memory, dump_line, NULL);
}

/* PV mode says itself why. */
static enum fault_result cannot_go_on(void *context, const struct vcpu_exit *exit)
{
    struct vm *vm = context;

    (void)exit;
    return exits_stop(&vm->monitor, "%s", vm->pv.problem);
}

static void init_machine(struct vm *vm)
{
    struct machine *machine = &vm->monitor.machine;

    bus_init(&machine->bus);
    timers_init(&machine->timers);
    machine->vcpu = &vm->monitor.vcpu;
    machine->tsc_hz = vm->startup->tsc_hz;
    machine->now = read_tsc;
    machine->wall_clock_seconds = vm->startup->wall_clock_seconds;
    machine->wall_clock_tsc = vm->startup->wall_clock_tsc;
    machine->log = vm_log_line;
    machine->rtc_passthrough = vm->config->rtc == VM_RTC_PASSTHROUGH;
}

static bool is_pv(const struct vm *vm)
{
    return vm->startup->vm.mode == VM_MODE_PV;
}

static const char *make_vcpu(struct vm *vm)
{
    seL4_CPtr object;
    const char *problem;

    if (!objects_make(&vm->objects, seL4_X86_VCPUObject, seL4_X86_VCPUBits, &object))
        return "the kernel makes no virtual CPU for it";
    if (vm->startup->vm.mode == VM_MODE_SVM)
        problem = svm_init(&vm->svm, &vm->monitor.vcpu, &vm->monitor.machine.memory, object, SLOT_TCB,
                           SLOT_VM_EPT_ROOT);
    else
        problem = vmx_init(&vm->vmx, &vm->monitor.vcpu, object, SLOT_TCB, SLOT_VM_EPT_ROOT,
                           vm->startup->vm.kernel_features);
    if (problem)
        return problem;
    if (vm->monitor.machine.rtc_passthrough &&
        seL4_X86_VCPU_EnableIOPort(object, SLOT_VM_RTC_PORTS, RTC_FIRST_PORT, RTC_LAST_PORT) != seL4_NoError)
        return "the kernel does not pass the real-time clock through";
    return NULL;
}

static void set_cpuid_policy(struct vm *vm)
{
    struct monitor *monitor = &vm->monitor;
    bool is_vtx = vm->startup->vm.mode == VM_MODE_VTX;

    monitor->cpuid = (struct cpuid_policy) {
        .host = read_cpuid,
        .tsc_hz = vm->startup->tsc_hz,
        .xcr0_allowed = read_xcr0(),
        .deprivileged = is_pv(vm),
        .pvm = vm->speaks_pvm,
        .pcid = is_vtx,
        .invpcid = is_vtx && vm->vmx.invpcid,
    };
    cpuid_prepare(&monitor->cpuid);
}

/* Virtual CPU, memory and CPUID. What VT-x has for the guest shows in CPUID; in PV mode CPUID and memory come first. */
static const char *make_processor(struct vm *vm)
{
    struct guest_memory *memory = &vm->monitor.machine.memory;
    enum vm_pages pages = (enum vm_pages)vm->config->pages;
    const char *problem = is_pv(vm) ? NULL : make_vcpu(vm);

    vm->ram.has_second_level = !is_pv(vm);
    if (problem || (problem = ram_make(&vm->ram, &vm->objects, vm->config->memory_bytes, pages, memory)))
        return problem;
    set_cpuid_policy(vm);
    if (is_pv(vm))
        return pv_create(&vm->pv, &vm->monitor, &vm->objects, &vm->ram, vm->config, vm->startup->vm.kernel_features);
    if (vm->startup->vm.mode == VM_MODE_VTX)
        vmx_own_cr4(&vm->vmx, cpuid_cr4_bits(&vm->monitor.cpuid));
    return NULL;
}

static const char *make_devices(struct vm *vm)
{
    const char *name;

    if (devices_create(&vm->monitor.machine, &name))
        return NULL;
    snprintf(vm->message, sizeof vm->message, "no memory for its device \"%s\"", name);
    return vm->message;
}

/* The kernel is in guest memory: whether it can run in PV mode, and what is to be done so that it does. */
static const char *prepare_pv(struct vm *vm, const struct boot_state *state)
{
    if (state->only_32_bit)
        return "its kernel begins in 32-bit mode, which PV mode does not run; expected one with a 64-bit entry";
    if (state->protocol != BOOT_LINUX64)
        return "boot = \"pvh\" starts it in 32-bit mode, which PV mode does not run; expected boot = \"linux64\"";
    fault_register(&vm->monitor.router, VCPU_EXIT_BAD_STATE, EXITS_PRIORITY + 1, cannot_go_on, vm);
    return vm->speaks_pvm ? NULL : pv_load(&vm->pv, &vm->startup->vm.kernel, vm->message, sizeof vm->message);
}

static const char *start_pvm(struct vm *vm)
{
    const char *problem = pv_start_pvm(&vm->pv);

    if (problem)
        return problem;
    return pvm_exits_init(&vm->monitor) ? NULL : "there is no room for the calls of PVM";
}

static const char *load(struct vm *vm)
{
    const struct startup *startup = vm->startup;
    const struct guest_memory *memory = &vm->monitor.machine.memory;
    struct boot_request request = {
        .kernel = startup->vm.kernel.bytes,
        .kernel_bytes = startup->vm.kernel.length,
        .initrd = startup->vm.initrd.bytes,
        .initrd_bytes = startup->vm.initrd.bytes ? startup->vm.initrd.length : 0,
        .cmdline = vm->config->cmdline,
        .choice = (enum boot_choice)vm->config->boot,
    };
    struct boot_state state;
    char message[160];
    const char *problem;

    if (is_pv(vm) && request.choice == BOOT_CHOICE_AUTO) /* the other one begins in 32-bit mode */
        request.choice = BOOT_CHOICE_LINUX64;
    problem = loader_load(memory, &request, &state, message);
    if (problem) {
        snprintf(vm->message, sizeof vm->message, "%s", problem);
        return vm->message;
    }
    if (is_pv(vm) && (problem = prepare_pv(vm, &state)))
        return problem;
    if (!acpi_tables_write(memory, virtio_links_present(&vm->virtio)))
        return "its memory has no room for the ACPI tables";
    start_vcpu(&vm->monitor.vcpu, &state);
    return vm->speaks_pvm ? start_pvm(vm) : NULL;
}

const char *vm_create(struct vm *vm, const struct startup *startup)
{
    const char *problem;

    vm->startup = startup;
    vm->config = startup->vm.config;
    vm->monitor.trace = startup->vm.statistics;
    objects_init(&vm->objects, startup);
    init_machine(vm);
    virtio_links_init(&vm->virtio, vm->config);
    vm->ram.share = virtio_links_share;
    vm->ram.context = &vm->virtio;
    vm->speaks_pvm = is_pv(vm) && pvm_is_spoken(startup->vm.kernel.bytes, startup->vm.kernel.length);
    if ((problem = make_processor(vm)))
        return problem;
    runtime_init(&vm->runtime, &vm->monitor, SLOT_NOTIFICATION, SLOT_TIME);
    console_init(&vm->console, &vm->runtime, startup);
    task_init(&vm->stop_task, &vm->runtime, "stop", stop, vm);
    task_wait_notification(&vm->stop_task, NOTIFY_STOP);
    task_init(&vm->dump_task, &vm->runtime, "dump", dump, vm);
    task_wait_notification(&vm->dump_task, NOTIFY_DUMP);
    if ((problem = make_devices(vm)) || (problem = virtio_links_connect(&vm->virtio, &vm->runtime)))
        return problem;
    exits_init(&vm->monitor);
    if (!balloon_init(&vm->balloon, &vm->monitor, give_page, vm))
        return "too many wait for its hypercalls";
    return load(vm);
}
