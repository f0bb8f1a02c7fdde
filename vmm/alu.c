#include "vmm/alu.h"

#define FLAG_CF (UINT64_C(1) << 0)
#define FLAG_PF (UINT64_C(1) << 2)
#define FLAG_AF (UINT64_C(1) << 4)
#define FLAG_ZF (UINT64_C(1) << 6)
#define FLAG_SF (UINT64_C(1) << 7)
#define FLAG_OF (UINT64_C(1) << 11)

/* The flags that say something of the result alone. */
static uint64_t result_flags(unsigned size, uint64_t result)
{
    uint64_t flags = 0;

    if (result == 0)
        flags |= FLAG_ZF;
    if (result >> (size * 8 - 1) & 1)
        flags |= FLAG_SF;
    if (!__builtin_parity((unsigned)result & 0xff))
        flags |= FLAG_PF;
    return flags;
}

static uint64_t add(unsigned size, uint64_t a, uint64_t b, bool carry, uint64_t *flags)
{
    uint64_t result = (a + b + carry) & alu_mask(size);
    uint64_t carries = (a & b) | ((a | b) & ~result); /* out of each bit */
    unsigned top = size * 8 - 1;

    *flags = result_flags(size, result) | (carries >> top & 1 ? FLAG_CF : 0) | (carries >> 3 & 1 ? FLAG_AF : 0) |
             (((a ^ result) & (b ^ result)) >> top & 1 ? FLAG_OF : 0);
    return result;
}

static uint64_t subtract(unsigned size, uint64_t a, uint64_t b, bool borrow, uint64_t *flags)
{
    uint64_t result = (a - b - borrow) & alu_mask(size);
    uint64_t borrows = (~a & b) | ((~a | b) & result);
    unsigned top = size * 8 - 1;

    *flags = result_flags(size, result) | (borrows >> top & 1 ? FLAG_CF : 0) | (borrows >> 3 & 1 ? FLAG_AF : 0) |
             (((a ^ b) & (a ^ result)) >> top & 1 ? FLAG_OF : 0);
    return result;
}

static uint64_t bit_operation(enum operation operation, unsigned size, uint64_t a, uint64_t b, uint64_t *rflags)
{
    uint64_t bit = UINT64_C(1) << (b & (size * 8 - 1));

    *rflags = (*rflags & ~FLAG_CF) | (a & bit ? FLAG_CF : 0);
    switch (operation) {
    case OPERATION_BTS: return a | bit;
    case OPERATION_BTR: return a & ~bit;
    case OPERATION_BTC: return a ^ bit;
    default:            return a;
    }
}

uint64_t alu_compute(enum operation operation, unsigned size, uint64_t a, uint64_t b, uint64_t *rflags, bool *stores)
{
    uint64_t all = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF, flags = 0, result;
    bool carry = *rflags & FLAG_CF;

    a &= alu_mask(size);
    b &= alu_mask(size);
    *stores = operation != OPERATION_CMP && operation != OPERATION_TEST && operation != OPERATION_BT;
    switch (operation) {
    case OPERATION_ADD:
    case OPERATION_ADC:
        result = add(size, a, b, operation == OPERATION_ADC && carry, &flags);
        break;
    case OPERATION_SUB:
    case OPERATION_CMP:
    case OPERATION_SBB:
        result = subtract(size, a, b, operation == OPERATION_SBB && carry, &flags);
        break;
    case OPERATION_NEG:
        result = subtract(size, 0, a, false, &flags);
        break;
    case OPERATION_INC: /* INC and DEC leave the carry alone */
        result = add(size, a, 1, false, &flags);
        all &= ~FLAG_CF;
        break;
    case OPERATION_DEC:
        result = subtract(size, a, 1, false, &flags);
        all &= ~FLAG_CF;
        break;
    case OPERATION_AND:
    case OPERATION_TEST:
        result = a & b;
        flags = result_flags(size, result);
        break;
    case OPERATION_OR:
        result = a | b;
        flags = result_flags(size, result);
        break;
    case OPERATION_XOR:
        result = a ^ b;
        flags = result_flags(size, result);
        break;
    case OPERATION_NOT:
        return ~a & alu_mask(size);
    default:
        return bit_operation(operation, size, a, b, rflags);
    }
    *rflags = (*rflags & ~all) | (flags & all);
    return result;
}
