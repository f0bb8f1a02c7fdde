/* seL4 reference manual, 8.1 and 8.2 (interrupts).
 *
 * An interrupt is masked at its controller when it arrives, and unmasked by the handler's acknowledgement; one that has
 * no controller pin (a message-signalled one) cannot be. */
#include <object/irq.h>

#include <api/ipc.h>
#include <arch/x86_64/ioapic.h>
#include <arch/x86_64/layout.h>
#include <object/cnode.h>
#include <object/derive.h>
#include <object/finalise.h>

#define IRQ_USER_FIRST (VECTOR_IRQ_USER_FIRST - VECTOR_IRQ_FIRST)
#define IRQ_USER_COUNT (VECTOR_IRQ_USER_LAST - VECTOR_IRQ_USER_FIRST + 1)

#define PCI_BUS_MAX      255
#define PCI_DEVICE_MAX   31
#define PCI_FUNCTION_MAX 7

struct irq {
    struct slot notification; /* what it signals */
    bool has_handler;
    bool has_pin; /* of an I/O APIC */
    uint8_t ioapic, pin;
};

/* The interrupts of the machine, whichever CPU takes them. */
static struct irq irqs[IRQ_USER_COUNT];

static struct irq *irq_of(unsigned number)
{
    return &irqs[number - IRQ_USER_FIRST];
}

static void mask(const struct irq *irq, bool masked)
{
    if (irq->has_pin)
        ioapic_mask(irq->ioapic, irq->pin, masked);
}

static bool in_range(struct invocation *call, uint64_t value, uint64_t last)
{
    if (value > last) {
        fail_range(call, 0, last);
        return false;
    }
    return true;
}

/* Arguments: index and depth of the new capability's slot, where the interrupt comes from, and its number. */
static void issue(struct invocation *call)
{
    bool by_pin = call->label == X86IRQIssueIRQHandlerIOAPIC;

    if (call->length < 7 || !has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint64_t number = argument(call, 6);
    if (!in_range(call, number, IRQ_USER_COUNT - 1))
        return;
    struct irq *irq = &irqs[number];
    if (irq->has_handler) {
        fail(call, seL4_RevokeFirst);
        return;
    }
    struct slot *to = cnode_empty_slot(call, call->extra[0]->cap, argument(call, 0), argument(call, 1));
    if (!to)
        return;

    uint64_t where[4] = { argument(call, 2), argument(call, 3), argument(call, 4), argument(call, 5) };
    if (by_pin) {
        if (!in_range(call, where[0], ioapic_count() - 1)
            || !in_range(call, where[1], ioapic_pins((unsigned)where[0]) - 1) || !in_range(call, where[2], 1)
            || !in_range(call, where[3], 1))
            return;
        ioapic_route((unsigned)where[0], (unsigned)where[1], where[2], where[3],
                     (uint8_t)(VECTOR_IRQ_USER_FIRST + number));
        irq->ioapic = (uint8_t)where[0];
        irq->pin = (uint8_t)where[1];
    } else if (!in_range(call, where[0], PCI_BUS_MAX) || !in_range(call, where[1], PCI_DEVICE_MAX)
               || !in_range(call, where[2], PCI_FUNCTION_MAX)) {
        return;
    }
    irq->has_pin = by_pin;
    irq->has_handler = true;
    slot_insert(cap_make(CAP_IRQ_HANDLER, 0, 0, IRQ_USER_FIRST + number), call->slot, to);
    mask(irq, false);
}

void irq_control_invoke(struct invocation *call)
{
    switch (call->label) {
    case X86IRQIssueIRQHandlerIOAPIC:
    case X86IRQIssueIRQHandlerMSI:
        issue(call);
        break;
    case IRQIssueIRQHandler: /* for the legacy controller's lines, which are off */
        fail(call, call->length < 3 || !has_extra(call, 1) ? seL4_TruncatedMessage : seL4_IllegalOperation);
        break;
    default:
        fail(call, seL4_IllegalOperation);
    }
}

static void set_notification(struct invocation *call, struct irq *irq)
{
    if (!has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    struct slot *source = call->extra[0];
    if (source->cap.type != CAP_NOTIFICATION || !(cap_rights(source->cap) & RIGHT_WRITE)) {
        fail_capability(call, 0);
        return;
    }
    struct cap cap = source->cap;
    slot_delete_one(call->cpu, &irq->notification);
    slot_insert(cap, source, &irq->notification);
}

void irq_handler_invoke(struct invocation *call)
{
    struct irq *irq = irq_of((unsigned)call->cap.data);

    switch (call->label) {
    case IRQAckIRQ:
        mask(irq, false);
        break;
    case IRQSetIRQHandler:
        set_notification(call, irq);
        break;
    case IRQClearIRQHandler:
        slot_delete_one(call->cpu, &irq->notification);
        break;
    default:
        fail(call, seL4_IllegalOperation);
    }
}

void irq_finalise(struct cpu *cpu, unsigned number)
{
    struct irq *irq = irq_of(number);

    slot_delete_one(cpu, &irq->notification);
    mask(irq, true);
    irq->has_handler = false;
}

void irq_arrived(struct cpu *cpu, unsigned number)
{
    if (number < IRQ_USER_FIRST || number - IRQ_USER_FIRST >= IRQ_USER_COUNT)
        return;

    struct irq *irq = irq_of(number);
    struct cap cap = irq->notification.cap;
    mask(irq, true);
    if (cap.type == CAP_NOTIFICATION && cap_rights(cap) & RIGHT_WRITE)
        notification_signal(cpu, cap_object(cap), cap.data);
}
