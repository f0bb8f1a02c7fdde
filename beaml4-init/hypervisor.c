/* init's endless loop: requests of monitors, and the faults of everyone. init never waits for a sender; whoever sends
 * what it may not gets an answer or none, and that is all that happens. */
#include "ipc/hypervisor.h"

#include "beaml4-init/fault_text.h"
#include "beaml4-init/init.h"
#include "runtime/runtime.h"

struct message {
    uint64_t label;
    unsigned length, capabilities; /* as the sender says; the first FAULT_WORDS are in WORDS */
    uint64_t words[FAULT_WORDS];
};

static struct message receive(seL4_CPtr endpoint, seL4_Word *badge)
{
    seL4_MessageInfo_t info = seL4_Recv(endpoint, badge);
    struct message message = { .label = seL4_MessageInfo_get_label(info),
                               .length = (unsigned)seL4_MessageInfo_get_length(info),
                               .capabilities = (unsigned)(seL4_MessageInfo_get_extraCaps(info)) };

    for (unsigned i = 0; i < FAULT_WORDS && i < seL4_MessageInfo_get_length(info); i++)
        message.words[i] = seL4_GetMR((int)i);
    return message;
}

/* A monitor's request is about its own VM. False: the VM has ended, and no one waits for an answer. */
static bool serve_monitor(struct init *init, unsigned index, const struct message *message,
                          enum hypervisor_status *status)
{
    static const struct ipc_shape shapes[] = { HYPERVISOR_PROTOCOL(IPC_SHAPE) };
    struct vm *vm = &init->vm[index];

    *status = HV_INVALID;
    if (!ipc_shape(shapes, sizeof shapes / sizeof shapes[0], message->label, message->length, message->capabilities))
        return true;
    *status = HV_OK;
    switch ((enum hypervisor_operation)message->label) {
    case HV_VM_RUNNING:
        if (vm->state == VM_STARTED)
            log_printf("VM %u \"%s\" is running", index, vm->config->name);
        vm->state = VM_RUNNING;
        return true;
    case HV_VM_POWERED_OFF:
        vm_end(init, index, VM_END_POWERED_OFF);
        return false;
    case HV_VM_REBOOT:
        vm_end(init, index, VM_END_REBOOT);
        return false;
    case HV_VM_REFUSED:
        vm_end(init, index, VM_END_REFUSED);
        return false;
    case HV_VM_CRASHED:
        vm_end(init, index, VM_END_CRASHED);
        return false;
    case HV_TIME_ROOM:
        if (time_clients_grow(&init->time, CLIENT_FIRST_VM + index, &vm->monitor.pool) != NULL)
            *status = HV_NO_MEMORY;
        return true;
    case HV_VM_BALLOON:
        if (!pool_return_untyped(&vm->monitor.pool, message->words[0], VM_RAM_MIN_BITS))
            *status = HV_NO_SUCH;
        return true;
    default:
        return true;
    }
}

static void monitor_faulted(struct init *init, unsigned index, const char *text)
{
    log_printf("VM %u \"%s\": its monitor faulted: %s", index, init->vm[index].config->name, text);
    vm_end(init, index, VM_END_CRASHED);
}

static void serve_shell(struct init *init, const struct message *message)
{
    uint64_t reply[DEBUG_REPLY_WORDS];
    unsigned count = 0;
    enum hypervisor_status status = debug_serve(init, message->label, message->words, message->length, reply, &count);

    for (unsigned i = 0; i < count; i++)
        seL4_SetMR((int)i, reply[i]);
    seL4_Reply(seL4_MessageInfo_new(status, 0, 0, count));
}

/* A guest without one of its disks has crashed: its requests would never be answered. */
static void virtio_faulted(struct init *init, unsigned index, unsigned device, const char *text)
{
    log_printf("VM %u \"%s\": the server of its device %u faulted: %s", index, init->vm[index].config->name, device,
               text);
    vm_end(init, index, VM_END_CRASHED);
}

static void serve(struct init *init, seL4_Word badge, const struct message *message)
{
    unsigned number = HV_BADGE_NUMBER(badge);
    enum hypervisor_status status = HV_DENIED;
    char text[128];

    switch (HV_BADGE_KIND(badge)) {
    case BADGE_MONITOR:
        if (number < init->vm_count && init->vm[number].state != VM_OFF &&
            !serve_monitor(init, number, message, &status))
            return;
        break;
    case BADGE_SERVICE:
        if (number != CLIENT_DEBUG)
            break;
        serve_shell(init, message);
        return;
    case BADGE_FAULT_MONITOR:
        fault_text(text, sizeof text, message->label, message->words);
        if (number < init->vm_count && init->vm[number].state != VM_OFF)
            monitor_faulted(init, number, text);
        return;
    case BADGE_FAULT_VIRTIO:
        fault_text(text, sizeof text, message->label, message->words);
        if (number / VM_VIRTIO_MAX < init->vm_count && init->vm[number / VM_VIRTIO_MAX].state != VM_OFF)
            virtio_faulted(init, number / VM_VIRTIO_MAX, number % VM_VIRTIO_MAX, text);
        return;
    case BADGE_FAULT_SERVICE:
        fault_text(text, sizeof text, message->label, message->words);
        services_faulted(init, number, text);
        return;
    default:
        break;
    }
    /* Does nothing when the message was sent without waiting for an answer. */
    seL4_Reply(seL4_MessageInfo_new(status, 0, 0, 0));
}

_Noreturn void hypervisor_serve(struct init *init)
{
    for (;;) {
        seL4_Word badge = 0;
        struct message message = receive(init->endpoint, &badge);

        serve(init, badge, &message);
    }
}
