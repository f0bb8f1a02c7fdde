/* Where a register of the virtual CPU is when AMD-V runs it, and in which form. Pure. */
#pragma once

#include "algorithms/vcpu.h"

#include <stdint.h>

#define SVM_NOWHERE 0xffffu

/* A field of the VMCB, or SVM_NOWHERE. */
uint32_t svm_place_of(enum vcpu_register reg);

/* Access rights of a segment: 12 bits in a VMCB (APM 2 15.5.1); struct vcpu has them as VT-x does. A segment that is not
 * present is one that cannot be used. */
uint64_t svm_access_of(uint64_t attributes);
uint64_t svm_attributes_of(uint64_t access);
