/* What the debug shell asks for. Everything about a request is checked before anything is done. */
#include "beaml4-init/config.h"
#include "beaml4-init/fault_text.h"
#include "beaml4-init/init.h"
#include "runtime/runtime.h"

#include <stdio.h>

#define DEBUG_FITS(name, number, request, reply, caps, text)                                                      \
    _Static_assert(IPC_WORDS(struct reply) <= DEBUG_REPLY_WORDS && IPC_WORDS(struct request) <= FAULT_WORDS && !(caps), \
                   "there is room for the answer, and for what is asked");
DEBUG_PROTOCOL(DEBUG_FITS)

_Static_assert(DEBUG_SIZES == UNIALLOC_MAX_BITS + 1, "every size of an untyped is counted");

static uint64_t state_of(const struct vm *vm)
{
    switch (vm->state) {
    case VM_OFF:
        return DEBUG_OFF;
    case VM_STARTED:
        return DEBUG_STARTING;
    default:
        return vm->paused ? DEBUG_PAUSED : DEBUG_RUNNING;
    }
}

static void describe_vm(const struct init *init, unsigned index, struct debug_process *process)
{
    const struct vm *vm = &init->vm[index];
    bool is_on = vm->state != VM_OFF;
    uint64_t own_bytes = vm->monitor.exists ? vm->monitor.pool.bytes : 0;

    for (unsigned i = 0; i < VM_DISKS_MAX; i++)
        if (vm->virtio[i].exists)
            own_bytes += vm->virtio[i].pool.bytes;

    *process = (struct debug_process) {
        .kind = DEBUG_VM,
        .number = index,
        .client = CLIENT_FIRST_VM + index,
        .state = state_of(vm),
        .mode = is_on ? vm->mode : vm->config->mode,
        .memory_bytes = vm->config->memory_bytes,
        .own_bytes = own_bytes,
        .starts = vm->starts,
        .started_tsc = is_on ? vm->started_tsc : 0,
        .exits = vm->statistics ? vm->statistics->seen : 0,
        .waited = statistics_waited(vm),
    };
    /* A name that fails its check is not for a terminal. */
    snprintf(process->name, sizeof process->name, "%s", config_check_vm(vm->config) ? "?" : vm->config->name);
}

static void describe_service(const struct init *init, enum service_id id, struct debug_process *process)
{
    const struct service *service = &init->service[id];

    *process = (struct debug_process) {
        .kind = DEBUG_SERVICE,
        .number = id,
        .client = services_client(id),
        .state = service->runs ? DEBUG_RUNNING : DEBUG_OFF,
        .own_bytes = service->process.exists ? service->process.pool.bytes : 0,
        .starts = service->starts,
        .started_tsc = service->runs ? service->started_tsc : 0,
    };
    snprintf(process->name, sizeof process->name, "%s", services_name(id));
}

/* The Nth server of a device; NULL: there are not so many. */
static struct process *device_server(struct init *init, uint64_t n, unsigned *vm)
{
    for (*vm = 0; *vm < init->vm_count; ++*vm)
        for (unsigned i = 0; i < VM_DISKS_MAX; i++)
            if (init->vm[*vm].virtio[i].exists && n-- == 0)
                return &init->vm[*vm].virtio[i];
    return NULL;
}

static enum hypervisor_status describe_process(struct init *init, uint64_t n, void *reply)
{
    struct debug_process *process = reply;
    unsigned vm;

    if (n < init->vm_count) {
        describe_vm(init, (unsigned)n, reply);
        return HV_OK;
    }
    if (n < init->vm_count + (uint64_t)SERVICE_COUNT) {
        describe_service(init, (enum service_id)(n - init->vm_count), reply);
        return HV_OK;
    }
    const struct process *server = device_server(init, n - init->vm_count - SERVICE_COUNT, &vm);
    if (!server)
        return HV_NO_SUCH;
    *process = (struct debug_process) {
        .kind = DEBUG_DEVICE,
        .number = vm,
        .client = DEBUG_LOG_OF_ALL,
        .state = DEBUG_RUNNING,
        .own_bytes = server->pool.bytes,
        .starts = init->vm[vm].starts,
        .started_tsc = init->vm[vm].started_tsc,
    };
    snprintf(process->name, sizeof process->name, "%s", server->startup.name);
    return HV_OK;
}

static enum hypervisor_status describe_capabilities(struct init *init, uint64_t n, uint64_t from, void *reply)
{
    const struct process *process;
    unsigned vm;

    if (n < init->vm_count)
        process = &init->vm[n].monitor;
    else if (n < init->vm_count + (uint64_t)SERVICE_COUNT)
        process = &init->service[n - init->vm_count].process;
    else if (!(process = device_server(init, n - init->vm_count - SERVICE_COUNT, &vm)))
        return HV_NO_SUCH;
    if (!process->exists)
        return HV_WRONG_STATE;
    capabilities_read(init, process, from, reply);
    return HV_OK;
}

static void describe_memory(struct init *init, struct debug_memory *memory)
{
    struct resources *resources = &init->resources;
    struct totals totals = resources_totals(resources);

    *memory = (struct debug_memory) {
        .bytes = resources->all_bytes,
        .free_bytes = totals.bytes,
        .largest_free_bytes = totals.bytes > 0 ? UINT64_C(1) << unialloc_largest_bits(&resources->memory) : 0,
        .slots = resources->bootinfo->empty.end - resources->bootinfo->empty.start,
        .free_slots = totals.slots,
    };
    unialloc_count_pieces(&resources->memory, memory->pieces);
}

/* What is signalled needs a badge of its own, for which one slot is borrowed. */
static bool signal_dump(const struct vm *vm)
{
    struct resources *resources = vm->monitor.pool.resources;
    seL4_CPtr slot;

    if (resources_take_slot(resources, &slot))
        return false;
    bool made = seL4_CNode_Mint(INIT_CNODE, slot, INIT_DEPTH, INIT_CNODE, vm->monitor.notification, INIT_DEPTH,
                                seL4_CanWrite, NOTIFY_DUMP) == seL4_NoError;
    if (made) {
        seL4_Signal(slot);
        seL4_CNode_Delete(INIT_CNODE, slot, INIT_DEPTH);
    }
    resources_give_slot(resources, slot);
    return made;
}

static enum hypervisor_status choose_mode(struct vm *vm, uint64_t choice)
{
    static const enum vm_mode mode[] = { [DEBUG_AUTO] = VM_MODE_AUTO, [DEBUG_VTX] = VM_MODE_VTX,
                                         [DEBUG_SVM] = VM_MODE_SVM, [DEBUG_PV] = VM_MODE_PV };

    if (choice >= DEBUG_CHOICES)
        return HV_INVALID;
    if (choice < sizeof mode / sizeof mode[0])
        vm->chosen.mode = mode[choice];
    else
        vm->chosen.pages = choice == DEBUG_EPT_SMALL ? VM_PAGES_SMALL : VM_PAGES_LARGE;
    return HV_OK;
}

/* A VM that runs moves at once. */
static enum hypervisor_status choose_affinity(struct init *init, unsigned index, uint64_t cpus)
{
    struct vm *vm = &init->vm[index];
    uint64_t before = vm->chosen.affinity;
    const char *problem = NULL;

    vm->chosen.affinity = cpus;
    if (vm->state != VM_OFF)
        problem = vm_choose_cpu(init, vm, vm->monitor.tcb);
    for (unsigned i = 0; i < VM_DISKS_MAX && !problem; i++)
        if (vm->virtio[i].exists)
            problem = vm_choose_cpu(init, vm, vm->virtio[i].tcb);
    if (!problem)
        return HV_OK;
    vm->chosen.affinity = before;
    log_printf("VM %u \"%s\": %s", index, vm->config->name, problem);
    return HV_FAILED;
}

static enum hypervisor_status on_vm(struct init *init, enum debug_operation operation, unsigned index)
{
    struct vm *vm = &init->vm[index];

    if (operation == DEBUG_CONSOLE) {
        log_clients_attach_terminal(&init->log, CLIENT_FIRST_VM + index);
        return HV_OK;
    }
    if ((vm->state == VM_OFF) != (operation == DEBUG_CREATE))
        return HV_WRONG_STATE;
    switch (operation) {
    case DEBUG_CREATE:
        vm_start(init, index);
        return vm->state == VM_OFF ? HV_FAILED : HV_OK;
    case DEBUG_KILL:
        vm_end(init, index, VM_END_KILLED);
        return HV_OK;
    case DEBUG_REBOOT:
        vm_end(init, index, VM_END_REBOOT);
        return vm->state == VM_OFF ? HV_FAILED : HV_OK;
    case DEBUG_PAUSE:
        /* Not while it starts: what its monitor asks others for then must not be asked for twice. */
        return vm->paused || vm->state != VM_RUNNING ? HV_WRONG_STATE : vm_pause(init, index) ? HV_OK : HV_FAILED;
    case DEBUG_DUMP:
        if (vm->paused || vm->state != VM_RUNNING)
            return HV_WRONG_STATE;
        return signal_dump(vm) ? HV_OK : HV_FAILED;
    case DEBUG_RESUME:
        return !vm->paused ? HV_WRONG_STATE : vm_resume(init, index) ? HV_OK : HV_FAILED;
    default:
        return HV_INVALID;
    }
}

/* VMs first: one on another CPU would go on. */
static void end_all(struct init *init, const char *what)
{
    for (unsigned i = 0; i < init->vm_count; i++)
        vm_end(init, i, VM_END_KILLED);
    log_printf("%s, as the debug shell wants", what);
}

static enum hypervisor_status serve(struct init *init, enum debug_operation operation, const uint64_t *words,
                                    uint64_t *reply)
{
    switch (operation) {
    case DEBUG_PROCESS:
        return describe_process(init, words[0], reply);
    case DEBUG_CAPABILITIES_OF:
        return describe_capabilities(init, words[0], words[1], reply);
    case DEBUG_MEMORY:
        describe_memory(init, (struct debug_memory *)reply);
        return HV_OK;
    case DEBUG_LOG:
        if ((words[0] >= LOG_MAX_CLIENTS && words[0] != DEBUG_LOG_OF_ALL) || words[1] >= DEBUG_FOLLOWS)
            return HV_INVALID;
        log_clients_show_log(&init->log, (unsigned)words[0], (enum debug_follow)words[1]);
        return HV_OK;
    case DEBUG_RESTART:
        if (words[0] >= SERVICE_COUNT)
            return HV_NO_SUCH;
        services_restart(init, (enum service_id)words[0]);
        return HV_OK;
    case DEBUG_HALT:
        end_all(init, "the machine stops");
        seL4_DebugHalt();
        return HV_FAILED;
    case DEBUG_RESET:
        end_all(init, "the machine is reset");
        process_destroy(&init->service[SERVICE_SCREEN].process); /* which has the keyboard controller */
        machine_reset(&init->machine);
        return HV_FAILED;
    default:
        break;
    }
    if (words[0] >= init->vm_count)
        return HV_NO_SUCH;
    struct vm *vm = &init->vm[words[0]];
    switch (operation) {
    case DEBUG_MODE:
        return choose_mode(vm, words[1]);
    case DEBUG_AFFINITY:
        return choose_affinity(init, (unsigned)words[0], words[1]);
    case DEBUG_STATISTICS:
        if (!vm->statistics)
            return HV_WRONG_STATE;
        statistics_read(vm, (struct debug_statistics *)reply);
        return HV_OK;
    case DEBUG_TRACE:
        if (!vm->statistics)
            return HV_WRONG_STATE;
        statistics_read_trace(vm, words[1], (struct debug_trace *)reply);
        return HV_OK;
    default:
        return on_vm(init, operation, (unsigned)words[0]);
    }
}

enum hypervisor_status debug_serve(struct init *init, uint64_t operation, const uint64_t *words, unsigned count,
                                   uint64_t reply[DEBUG_REPLY_WORDS], unsigned *reply_count)
{
    const struct ipc_shape *shape = debug_shape(operation);

    *reply_count = 0;
    if (!shape || count != shape->request_words)
        return HV_INVALID;
    enum hypervisor_status status = serve(init, (enum debug_operation)operation, words, reply);
    if (status == HV_OK)
        *reply_count = shape->reply_words;
    return status;
}
