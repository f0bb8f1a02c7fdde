/* Where a register of the virtual CPU is when VT-x runs it. Pure. */
#pragma once

#include "algorithms/vcpu.h"

#include <stdbool.h>
#include <stdint.h>

#define VMX_NOWHERE 0u

/* A VMCS field (16 bits), an MSR of those that the kernel keeps for a VCPU (0xc000xxxx), or VMX_NOWHERE. */
uint32_t vmx_place_of(enum vcpu_register reg);

static inline bool vmx_is_field(uint32_t place)
{
    return place != VMX_NOWHERE && place <= 0xffff;
}

static inline bool vmx_is_msr(uint32_t place)
{
    return place > 0xffff;
}
