/* Zydis' names of segment registers. */
#pragma once

#include "algorithms/vcpu.h"

#include <Zydis/Zydis.h>
#include <stdint.h>

/* DS for what is none. */
static inline uint8_t segment_number(ZydisRegister reg)
{
    switch (reg) {
    case ZYDIS_REGISTER_ES: return VCPU_ES;
    case ZYDIS_REGISTER_CS: return VCPU_CS;
    case ZYDIS_REGISTER_SS: return VCPU_SS;
    case ZYDIS_REGISTER_FS: return VCPU_FS;
    case ZYDIS_REGISTER_GS: return VCPU_GS;
    default:                return VCPU_DS;
    }
}
