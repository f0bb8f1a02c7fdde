#include "vmm/devices/local_apic.h"

#include "vmm/device.h"
#include "vmm/devices/ioapic.h"
#include "vmm/devices/local_apic_timer.h"

#include <stdlib.h>

#define MSR_APIC_BASE    0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC       0x800u
#define X2APIC_MSRS      0x100u /* architecturally reserved for x2APIC mode: SDM 3A 11.12.1.2 */
#define PAGE_BYTES       0x1000u

#define BASE_BSP     0x100u
#define BASE_X2APIC  0x400u
#define BASE_ENABLE  0x800u
#define BASE_MODE    (BASE_ENABLE | BASE_X2APIC)

/* The one virtual CPU's identity. In x2APIC mode the logical id is derived from it (11.12.10.2): cluster 0, bit 0. */
#define APIC_ID            0u
#define X2APIC_LOGICAL_ID  1u
#define XAPIC_BROADCAST    0xffu
#define X2APIC_BROADCAST   0xffffffffu

/* An integrated APIC with six LVT entries that can keep an EOI from the IOAPIC (11.4.8). */
#define VERSION (0x14u | (LVT_ENTRIES - 1) << 16 | 1u << 24)

/* Registers by number: the MSR is 800H + number, the offset in the page 16 times the number (table 11-6). */
enum {
    REGISTER_ID = 0x02, REGISTER_VERSION = 0x03, REGISTER_TPR = 0x08, REGISTER_PPR = 0x0a, REGISTER_EOI = 0x0b,
    REGISTER_LDR = 0x0d, REGISTER_DFR = 0x0e, REGISTER_SVR = 0x0f, REGISTER_ISR = 0x10, REGISTER_TMR = 0x18,
    REGISTER_IRR = 0x20, REGISTER_ESR = 0x28, REGISTER_ICR = 0x30, REGISTER_ICR_HIGH = 0x31, REGISTER_LVT = 0x32,
    REGISTER_INITIAL_COUNT = 0x38, REGISTER_CURRENT_COUNT = 0x39, REGISTER_DIVIDE = 0x3e, REGISTER_SELF_IPI = 0x3f,
};

#define BITMAP_REGISTERS 8u

enum { LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_ENTRIES };

#define LVT_MASKED       0x10000u
#define LVT_VECTOR       0xffu
#define LVT_TIMER_MODE(entry) ((enum local_apic_timer_mode)((entry) >> 17 & 3))
#define LVT_READ_ONLY    0x5000u /* delivery status, remote IRR */

#define SVR_ENABLE       0x100u
#define SVR_SUPPRESS_EOI 0x1000u
#define SVR_WRITABLE     0x13ffu

#define ESR_SEND_VECTOR    0x20u
#define ESR_RECEIVE_VECTOR 0x40u
#define ESR_REGISTER       0x80u

#define VECTOR_FIRST 16u /* lower ones are illegal in a message: 11.5.2 */

#define ICR_MODE(icr)      ((icr) >> 8 & 7)
#define ICR_LOGICAL        0x800u
#define ICR_SHORTHAND(icr) ((icr) >> 18 & 3)
#define ICR_WRITABLE       0xccfffu /* without the delivery status, which always says idle */
#define ICR_STATUS         0x1000u
enum { MODE_FIXED = 0, MODE_LOWEST_PRIORITY = 1, MODE_NMI = 4 };
enum { SHORTHAND_NONE, SHORTHAND_SELF, SHORTHAND_ALL, SHORTHAND_OTHERS };

struct local_apic {
    struct machine *machine;
    uint64_t base; /* IA32_APIC_BASE */
    uint8_t task_priority;
    uint32_t logical_destination, destination_format; /* xAPIC mode */
    uint32_t spurious;
    uint32_t errors;       /* since ESR was last written */
    uint32_t error_status; /* what ESR shows */
    uint64_t command;      /* ICR, the destination in the upper half */
    uint32_t lvt[LVT_ENTRIES];
    uint64_t in_service[4], level[4]; /* ISR, TMR; the IRR is in struct vcpu */
    struct local_apic_timer timer;
};

/* Which bits an LVT entry has, figure 11-8: vector and mask, and timer mode, delivery mode, or with that also polarity
 * and trigger mode. */
static uint32_t lvt_writable(unsigned entry)
{
    switch (entry) {
    case LVT_TIMER:
        return LVT_VECTOR | LVT_MASKED | 0x60000;
    case LVT_ERROR:
        return LVT_VECTOR | LVT_MASKED;
    case LVT_LINT0:
    case LVT_LINT1:
        return LVT_VECTOR | LVT_MASKED | 0x700 | 0xa000;
    default:
        return LVT_VECTOR | LVT_MASKED | 0x700;
    }
}

static bool in_x2apic_mode(const struct local_apic *apic)
{
    return (apic->base & BASE_MODE) == BASE_MODE;
}

bool local_apic_is_enabled(const struct local_apic *apic)
{
    return apic->base & BASE_ENABLE;
}

static int highest(const uint64_t bitmap[4])
{
    for (int word = 3; word >= 0; word--)
        if (bitmap[word])
            return word * 64 + 63 - __builtin_clzll(bitmap[word]);
    return -1;
}

/* 11.8.3.1: the higher of the classes of the task and of what is in service. */
static uint8_t processor_priority(const struct local_apic *apic)
{
    int vector = highest(apic->in_service);
    unsigned in_service = vector < 0 ? 0 : (unsigned)vector & 0xf0;

    return (apic->task_priority & 0xf0) >= in_service ? apic->task_priority : (uint8_t)in_service;
}

/* Puts VECTOR into the IRR; false where it cannot be there. */
static bool accept(struct local_apic *apic, uint8_t vector, bool level)
{
    uint64_t bit = UINT64_C(1) << vector % 64;

    if (!local_apic_is_enabled(apic) || !(apic->spurious & SVR_ENABLE) || vector < VECTOR_FIRST)
        return false;
    if (level)
        apic->level[vector / 64] |= bit;
    else
        apic->level[vector / 64] &= ~bit;
    vcpu_pend(apic->machine->vcpu, vector);
    return true;
}

static void report_error(struct local_apic *apic, uint32_t error)
{
    apic->errors |= error;
    /* An illegal vector in this very entry is one more error, and not one more interrupt. */
    if (!(apic->lvt[LVT_ERROR] & LVT_MASKED) && !accept(apic, apic->lvt[LVT_ERROR] & LVT_VECTOR, false))
        apic->errors |= ESR_RECEIVE_VECTOR;
}

bool local_apic_deliver(struct local_apic *apic, uint8_t vector, bool level)
{
    if (accept(apic, vector, level))
        return true;
    if (vector < VECTOR_FIRST)
        report_error(apic, ESR_RECEIVE_VECTOR);
    return false;
}

/* 11.6.2.2 and 11.12.10.2. A message of the IOAPIC has 8 bits of destination in either mode. */
static bool is_destination(const struct local_apic *apic, uint32_t destination, bool logical)
{
    uint32_t own = apic->logical_destination >> 24;

    if (!local_apic_is_enabled(apic))
        return false;
    if (!logical)
        return destination == APIC_ID || destination == (in_x2apic_mode(apic) ? X2APIC_BROADCAST : XAPIC_BROADCAST);
    if (in_x2apic_mode(apic))
        return destination == X2APIC_BROADCAST
            || (destination >> 16 == X2APIC_LOGICAL_ID >> 16 && (destination & X2APIC_LOGICAL_ID));
    if (apic->destination_format >> 28 == 0) /* cluster model: the upper four bits are the cluster's, 15 is all */
        return (destination >> 4 == own >> 4 || destination >> 4 == 15) && (destination & own & 15);
    return destination & own;
}

bool local_apic_accepts(const struct local_apic *apic, uint8_t destination, bool logical)
{
    return is_destination(apic, destination == XAPIC_BROADCAST && in_x2apic_mode(apic) ? X2APIC_BROADCAST : destination,
                          logical);
}

int local_apic_next(const struct local_apic *apic)
{
    int vector = vcpu_highest_pending(apic->machine->vcpu);

    return vector >= 0 && (vector & 0xf0) > (processor_priority(apic) & 0xf0) ? vector : -1;
}

void local_apic_take(struct local_apic *apic, uint8_t vector)
{
    vcpu_unpend(apic->machine->vcpu, vector);
    apic->in_service[vector / 64] |= UINT64_C(1) << vector % 64;
}

uint8_t local_apic_cr8(const struct local_apic *apic)
{
    return apic->task_priority >> 4;
}

void local_apic_set_cr8(struct local_apic *apic, uint8_t value)
{
    apic->task_priority = (uint8_t)(value << 4);
}

static void end_of_interrupt(struct local_apic *apic)
{
    int vector = highest(apic->in_service);

    if (vector < 0)
        return;
    uint64_t bit = UINT64_C(1) << vector % 64;

    apic->in_service[vector / 64] &= ~bit;
    if ((apic->level[vector / 64] & bit) && !(apic->spurious & SVR_SUPPRESS_EOI) && apic->machine->ioapic)
        ioapic_end_of_interrupt(apic->machine->ioapic, (uint8_t)vector);
}

static void timer_fired(void *device)
{
    struct local_apic *apic = device;

    if (!(apic->lvt[LVT_TIMER] & LVT_MASKED))
        local_apic_deliver(apic, apic->lvt[LVT_TIMER] & LVT_VECTOR, false);
}

static void send_self(struct local_apic *apic, uint8_t vector)
{
    if (vector < VECTOR_FIRST)
        report_error(apic, ESR_SEND_VECTOR);
    else
        accept(apic, vector, false);
}

/* Sends what the ICR says. The only receiver is this CPU. INIT and start-up messages are for one that waits to be
 * started, and there is no SMI. */
static void send_command(struct local_apic *apic)
{
    uint32_t command = (uint32_t)apic->command, destination = (uint32_t)(apic->command >> 32);
    unsigned mode = ICR_MODE(command), shorthand = ICR_SHORTHAND(command);

    if (!in_x2apic_mode(apic))
        destination >>= 24;
    if (shorthand == SHORTHAND_OTHERS
        || (shorthand == SHORTHAND_NONE && !is_destination(apic, destination, command & ICR_LOGICAL)))
        return;
    if (mode == MODE_FIXED || mode == MODE_LOWEST_PRIORITY)
        send_self(apic, command & LVT_VECTOR);
    else if (mode == MODE_NMI)
        apic->machine->vcpu->nmi = true;
}

static void mask_lvt(struct local_apic *apic)
{
    for (unsigned i = 0; i < LVT_ENTRIES; i++)
        apic->lvt[i] |= LVT_MASKED;
}

static void write_lvt(struct local_apic *apic, unsigned entry, uint32_t value)
{
    apic->lvt[entry] = value & lvt_writable(entry);
    if (!(apic->spurious & SVR_ENABLE)) /* 11.4.7.2: masks cannot be taken away then */
        apic->lvt[entry] |= LVT_MASKED;
    if (entry == LVT_TIMER)
        local_apic_timer_set_mode(&apic->timer, LVT_TIMER_MODE(value));
}

/* The state after power-up or a reset (11.4.7.1), also when the guest disables the APIC (11.4.3). */
static void reset(struct local_apic *apic)
{
    struct vcpu *vcpu = apic->machine->vcpu;

    local_apic_timer_reset(&apic->timer);
    apic->task_priority = 0;
    apic->logical_destination = 0;
    apic->destination_format = UINT32_MAX;
    apic->spurious = 0xff;
    apic->errors = apic->error_status = 0;
    apic->command = 0;
    for (unsigned i = 0; i < LVT_ENTRIES; i++)
        apic->lvt[i] = LVT_MASKED;
    for (unsigned i = 0; i < 4; i++)
        apic->in_service[i] = apic->level[i] = vcpu->pending[i] = 0;
}

static uint32_t bitmap_register(const uint64_t bitmap[4], unsigned number)
{
    return (uint32_t)(bitmap[number / 2] >> number % 2 * 32);
}

/* False: no such register in this mode, or not one to be read. */
static bool read_register(const struct local_apic *apic, unsigned number, uint64_t *value)
{
    bool x2apic = in_x2apic_mode(apic);

    if (number >= REGISTER_ISR && number < REGISTER_ISR + BITMAP_REGISTERS)
        *value = bitmap_register(apic->in_service, number - REGISTER_ISR);
    else if (number >= REGISTER_TMR && number < REGISTER_TMR + BITMAP_REGISTERS)
        *value = bitmap_register(apic->level, number - REGISTER_TMR);
    else if (number >= REGISTER_IRR && number < REGISTER_IRR + BITMAP_REGISTERS)
        *value = bitmap_register(apic->machine->vcpu->pending, number - REGISTER_IRR);
    else if (number >= REGISTER_LVT && number < REGISTER_LVT + LVT_ENTRIES)
        *value = apic->lvt[number - REGISTER_LVT];
    else if (number == REGISTER_ID)
        *value = x2apic ? APIC_ID : APIC_ID << 24;
    else if (number == REGISTER_VERSION)
        *value = VERSION;
    else if (number == REGISTER_TPR)
        *value = apic->task_priority;
    else if (number == REGISTER_PPR)
        *value = processor_priority(apic);
    else if (number == REGISTER_LDR)
        *value = x2apic ? X2APIC_LOGICAL_ID : apic->logical_destination;
    else if (number == REGISTER_DFR && !x2apic)
        *value = apic->destination_format;
    else if (number == REGISTER_SVR)
        *value = apic->spurious;
    else if (number == REGISTER_ESR)
        *value = apic->error_status;
    else if (number == REGISTER_ICR)
        *value = x2apic ? apic->command : (uint32_t)apic->command;
    else if (number == REGISTER_ICR_HIGH && !x2apic)
        *value = apic->command >> 32;
    else if (number == REGISTER_INITIAL_COUNT)
        *value = apic->timer.initial;
    else if (number == REGISTER_CURRENT_COUNT)
        *value = local_apic_timer_current(&apic->timer);
    else if (number == REGISTER_DIVIDE)
        *value = ((apic->timer.shift + 7u) & 3) | ((apic->timer.shift + 7u) & 4) << 1;
    else
        return false;
    return true;
}

/* Which bits of a register may be set by a write in x2APIC mode (table 11-6 and the figures); 0 as well where only
 * zero may be written. False: no such register, or not one to be written. */
static bool x2apic_writable(unsigned number, uint64_t *bits)
{
    if (number >= REGISTER_LVT && number < REGISTER_LVT + LVT_ENTRIES)
        *bits = lvt_writable(number - REGISTER_LVT) | LVT_READ_ONLY;
    else if (number == REGISTER_TPR || number == REGISTER_SELF_IPI)
        *bits = 0xff;
    else if (number == REGISTER_EOI || number == REGISTER_ESR)
        *bits = 0;
    else if (number == REGISTER_SVR)
        *bits = SVR_WRITABLE;
    else if (number == REGISTER_ICR)
        *bits = UINT64_C(0xffffffff00000000) | ICR_WRITABLE | ICR_STATUS;
    else if (number == REGISTER_INITIAL_COUNT)
        *bits = UINT32_MAX;
    else if (number == REGISTER_DIVIDE)
        *bits = 0xb;
    else
        return false;
    return true;
}

/* False: no such register, or not one to be written. Reserved bits are ignored. */
static bool write_register(struct local_apic *apic, unsigned number, uint64_t value)
{
    bool x2apic = in_x2apic_mode(apic);

    if (number >= REGISTER_LVT && number < REGISTER_LVT + LVT_ENTRIES) {
        write_lvt(apic, number - REGISTER_LVT, (uint32_t)value);
        return true;
    }
    switch (number) {
    case REGISTER_ID: /* on current processors it cannot be changed: 11.4.6 */
        return !x2apic;
    case REGISTER_TPR:
        apic->task_priority = (uint8_t)value;
        return true;
    case REGISTER_EOI:
        end_of_interrupt(apic);
        return true;
    case REGISTER_LDR:
        apic->logical_destination = value & 0xff000000;
        return !x2apic;
    case REGISTER_DFR:
        apic->destination_format = (uint32_t)value | 0x0fffffff;
        return !x2apic;
    case REGISTER_SVR:
        apic->spurious = value & SVR_WRITABLE;
        if (!(value & SVR_ENABLE))
            mask_lvt(apic);
        return true;
    case REGISTER_ESR:
        apic->error_status = apic->errors;
        apic->errors = 0;
        return true;
    case REGISTER_ICR:
        apic->command = (x2apic ? value & UINT64_C(0xffffffff00000000) : apic->command & UINT64_C(0xff00000000000000))
            | (value & ICR_WRITABLE);
        send_command(apic);
        return true;
    case REGISTER_ICR_HIGH:
        apic->command = (uint32_t)apic->command | (value & 0xff000000) << 32;
        return !x2apic;
    case REGISTER_INITIAL_COUNT:
        local_apic_timer_set_initial(&apic->timer, (uint32_t)value);
        return true;
    case REGISTER_DIVIDE:
        local_apic_timer_set_divide(&apic->timer, (uint32_t)value);
        return true;
    case REGISTER_SELF_IPI:
        if (x2apic)
            send_self(apic, (uint8_t)value);
        return x2apic;
    default:
        return false;
    }
}

static enum bus_result access_x2apic(void *device, struct bus_access *access)
{
    struct local_apic *apic = device;
    unsigned number = (unsigned)access->offset;
    uint64_t bits;

    if (!in_x2apic_mode(apic))
        return BUS_FAULT;
    if (!access->write)
        return read_register(apic, number, &access->value) ? BUS_DONE : BUS_FAULT;
    if (!x2apic_writable(number, &bits) || (access->value & ~bits))
        return BUS_FAULT;
    return write_register(apic, number, access->value) ? BUS_DONE : BUS_FAULT;
}

/* The page has 32-bit registers at multiples of 16. Other accesses are undefined (11.4.1.2): parts of a register are
 * read as such, everything else reads as zero and is not written. */
static enum bus_result access_page(void *device, struct bus_access *access)
{
    struct local_apic *apic = device;
    unsigned number = (unsigned)(access->offset / 16), byte = access->offset % 16;
    uint64_t value = 0;

    if ((apic->base & BASE_MODE) != BASE_ENABLE)
        return BUS_PASS;
    if (access->write) {
        if (byte == 0 && access->size == 4 && !write_register(apic, number, access->value))
            report_error(apic, ESR_REGISTER);
        return BUS_DONE;
    }
    if (byte + access->size <= 4 && !read_register(apic, number, &value))
        report_error(apic, ESR_REGISTER);
    access->value = value >> (byte < 4 ? byte * 8 : 0);
    return BUS_DONE;
}

/* The modes form a ring: disabled, xAPIC, x2APIC, disabled (11.12.5, figure 11-29). */
static bool write_base(struct local_apic *apic, uint64_t value)
{
    uint64_t from = apic->base & BASE_MODE, to = value & BASE_MODE;

    /* The page stays where every guest has it; and the CPU stays the one that boots. */
    if ((value & ~(uint64_t)(BASE_MODE | BASE_BSP)) != LOCAL_APIC_BASE || to == BASE_X2APIC
        || (from == 0 && to == BASE_MODE) || (from == BASE_MODE && to == BASE_ENABLE))
        return false;
    apic->base = LOCAL_APIC_BASE | BASE_BSP | to;
    if (to == 0)
        reset(apic);
    return true;
}

static enum bus_result access_base(void *device, struct bus_access *access)
{
    struct local_apic *apic = device;

    if (access->write)
        return write_base(apic, access->value) ? BUS_DONE : BUS_FAULT;
    access->value = apic->base;
    return BUS_DONE;
}

static enum bus_result access_deadline(void *device, struct bus_access *access)
{
    struct local_apic *apic = device;

    if (access->write)
        local_apic_timer_set_deadline(&apic->timer, access->value);
    else
        access->value = local_apic_timer_deadline(&apic->timer);
    return BUS_DONE;
}

static void destroy(struct machine *machine, void *device)
{
    struct local_apic *apic = device;

    local_apic_timer_reset(&apic->timer);
    bus_unregister(&machine->bus, apic);
    machine->local_apic = NULL;
    free(apic);
}

static bool create(struct machine *machine, void **device)
{
    const struct bus_range ranges[] = {
        { .space = BUS_MSR, .start = MSR_X2APIC, .length = X2APIC_MSRS, .handler = access_x2apic },
        { .space = BUS_MSR, .start = MSR_TSC_DEADLINE, .length = 1, .handler = access_deadline },
        { .space = BUS_MSR, .start = MSR_APIC_BASE, .length = 1, .handler = access_base },
        { .space = BUS_MMIO, .start = LOCAL_APIC_BASE, .length = PAGE_BYTES, .handler = access_page },
    };
    struct local_apic *apic = calloc(1, sizeof *apic);

    if (!apic)
        return false;
    apic->machine = machine;
    apic->base = LOCAL_APIC_BASE | BASE_BSP | BASE_ENABLE;
    local_apic_timer_init(&apic->timer, machine, timer_fired, apic);
    reset(apic);
    machine->local_apic = apic;
    for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        struct bus_range range = ranges[i];

        range.priority = 128;
        range.device = apic;
        range.name = "local-apic";
        if (!bus_register(&machine->bus, &range)) {
            destroy(machine, apic);
            return false;
        }
    }
    *device = apic;
    return true;
}

DEVICE(local_apic_device, .name = "local-apic", .order = DEVICE_ORDER_LOCAL_APIC, .create = create, .destroy = destroy);
