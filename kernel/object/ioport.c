/* seL4 reference manual, 10.2.2 (I/O ports). */
#include <object/ioport.h>

#include <arch/x86_64/x86.h>
#include <object/cnode.h>
#include <object/derive.h>

#define PORT_COUNT 65536u

/* Which ports capabilities have been issued for; the ports are the machine's. */
static uint64_t issued[PORT_COUNT / 64];

/* Bits FIRST to LAST of a word. */
static uint64_t bit_range(unsigned first, unsigned last)
{
    return UINT64_MAX << first & UINT64_MAX >> (63 - last);
}

/* Those bits of word number WORD of the bitmap that stand for ports FIRST to LAST. */
static uint64_t ports_in_word(unsigned word, unsigned first, unsigned last)
{
    return bit_range(word == first / 64 ? first % 64 : 0, word == last / 64 ? last % 64 : 63);
}

static bool range_is_free(unsigned first, unsigned last)
{
    for (unsigned word = first / 64; word <= last / 64; word++)
        if (issued[word] & ports_in_word(word, first, last))
            return false;
    return true;
}

void ioport_control_invoke(struct invocation *call)
{
    if (call->label != X86IOPortControlIssue) {
        fail(call, seL4_IllegalOperation);
        return;
    }
    if (call->length < 4 || !has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint16_t first = (uint16_t)argument(call, 0), last = (uint16_t)argument(call, 1);
    if (last < first) {
        fail_argument(call, 1);
        return;
    }
    if (!range_is_free(first, last)) {
        fail(call, seL4_RevokeFirst);
        return;
    }
    struct slot *to = cnode_empty_slot(call, call->extra[0]->cap, argument(call, 2), argument(call, 3));
    if (!to)
        return;
    for (unsigned word = first / 64u; word <= last / 64u; word++)
        issued[word] |= ports_in_word(word, first, last);
    slot_insert(cap_make(CAP_IO_PORT, 0, 0, first | (uint64_t)last << 16), call->slot, to);
}

void ioport_finalise(struct cap cap)
{
    unsigned first = io_port_first(cap), last = io_port_last(cap);

    for (unsigned word = first / 64; word <= last / 64; word++)
        issued[word] &= ~ports_in_word(word, first, last);
}

/* Whether the capability covers SIZE ports from PORT on. */
static bool check_ports(struct invocation *call, unsigned port, unsigned size)
{
    if (port < io_port_first(call->cap) || port + size - 1 > io_port_last(call->cap)) {
        fail(call, seL4_IllegalOperation);
        return false;
    }
    return true;
}

static void port_in(struct invocation *call)
{
    if (call->length < 1) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint16_t port = (uint16_t)argument(call, 0);
    if (call->label == X86IOPortIn8 && check_ports(call, port, 1))
        result(call, in8(port));
    else if (call->label == X86IOPortIn16 && check_ports(call, port, 2))
        result(call, in16(port));
    else if (call->label == X86IOPortIn32 && check_ports(call, port, 4))
        result(call, in32(port));
}

static void port_out(struct invocation *call)
{
    if (call->length < 2) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint16_t port = (uint16_t)argument(call, 0);
    uint64_t value = argument(call, 1);
    if (call->label == X86IOPortOut8 && check_ports(call, port, 1))
        out8(port, (uint8_t)value);
    else if (call->label == X86IOPortOut16 && check_ports(call, port, 2))
        out16(port, (uint16_t)value);
    else if (call->label == X86IOPortOut32 && check_ports(call, port, 4))
        out32(port, (uint32_t)value);
}

void ioport_invoke(struct invocation *call)
{
    switch (call->label) {
    case X86IOPortIn8:
    case X86IOPortIn16:
    case X86IOPortIn32:
        port_in(call);
        break;
    case X86IOPortOut8:
    case X86IOPortOut16:
    case X86IOPortOut32:
        port_out(call);
        break;
    default:
        fail(call, seL4_IllegalOperation);
    }
}
