/* What the debug shell asks for. Everything about a request is checked before anything is done. */
#include "beaml4-init/config.h"
#include "beaml4-init/init.h"
#include "runtime/runtime.h"

#include <stdio.h>

#define DEBUG_FITS(name, request, reply) _Static_assert(reply <= DEBUG_REPLY_WORDS, "there is room for the answer");
DEBUG_OPERATIONS(DEBUG_FITS)

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
        .number = index,
        .state = state_of(vm),
        .mode = is_on ? vm->mode : vm->config->mode,
        .memory_bytes = vm->config->memory_bytes,
        .own_bytes = own_bytes,
        .starts = vm->starts,
        .started_tsc = is_on ? vm->started_tsc : 0,
    };
    /* A name that fails its check is not for a terminal. */
    snprintf(process->name, sizeof process->name, "%s", config_check_vm(vm->config) ? "?" : vm->config->name);
}

static void describe_service(const struct init *init, enum service_id id, struct debug_process *process)
{
    const struct service *service = &init->service[id];

    *process = (struct debug_process) {
        .is_service = 1,
        .number = id,
        .state = service->runs ? DEBUG_RUNNING : DEBUG_OFF,
        .own_bytes = service->process.exists ? service->process.pool.bytes : 0,
        .starts = service->starts,
        .started_tsc = service->runs ? service->started_tsc : 0,
    };
    snprintf(process->name, sizeof process->name, "%s", services_name(id));
}

static enum hypervisor_status describe_process(const struct init *init, uint64_t n, void *reply)
{
    if (n >= init->vm_count + (uint64_t)SERVICE_COUNT)
        return HV_NO_SUCH;
    if (n < init->vm_count)
        describe_vm(init, (unsigned)n, reply);
    else
        describe_service(init, (enum service_id)(n - init->vm_count), reply);
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
    case DEBUG_RESUME:
        return !vm->paused ? HV_WRONG_STATE : vm_resume(init, index) ? HV_OK : HV_FAILED;
    default:
        return HV_INVALID;
    }
}

/* VMs first: one on another CPU would go on. */
static void halt(struct init *init)
{
    for (unsigned i = 0; i < init->vm_count; i++)
        vm_end(init, i, VM_END_KILLED);
    log_printf("the machine stops, as the debug shell wants");
    seL4_DebugHalt();
}

enum hypervisor_status debug_serve(struct init *init, uint64_t operation, const uint64_t *words, unsigned count,
                                   uint64_t reply[DEBUG_REPLY_WORDS], unsigned *reply_count)
{
    const struct debug_shape *shape = debug_shape(operation);
    enum hypervisor_status status = HV_OK;

    *reply_count = 0;
    if (!shape || count != shape->request_words)
        return HV_INVALID;
    switch ((enum debug_operation)operation) {
    case DEBUG_PROCESS:
        status = describe_process(init, words[0], reply);
        break;
    case DEBUG_MEMORY:
        describe_memory(init, (struct debug_memory *)reply);
        break;
    case DEBUG_LOG:
        log_clients_show_log(&init->log);
        break;
    case DEBUG_RESTART:
        if (words[0] >= SERVICE_COUNT)
            return HV_NO_SUCH;
        services_restart(init, (enum service_id)words[0]);
        break;
    case DEBUG_HALT:
        halt(init);
        return HV_FAILED;
    default:
        status = words[0] < init->vm_count ? on_vm(init, (enum debug_operation)operation, (unsigned)words[0])
                                           : HV_NO_SUCH;
        break;
    }
    if (status == HV_OK)
        *reply_count = shape->reply_words;
    return status;
}
