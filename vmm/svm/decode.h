/* What AMD-V says of an exit (APM 2 15.10 to 15.25, appendix C), as a struct vcpu_exit. Pure. */
#pragma once

#include "algorithms/vcpu.h"
#include "vmm/svm/opcode.h"

#include <sel4/vmcb.h>
#include <stdbool.h>
#include <stdint.h>

/* Fills *EXIT. RIP is the guest's; NEXT_LENGTH bytes of the instruction, where the processor told. */
void svm_decode_exit(struct vcpu_exit *exit, uint64_t code, uint64_t info_1, uint64_t info_2, uint64_t rip,
                     uint64_t next_length);

/* Whether the instruction has to be read to know all of *EXIT, and what kind it is. */
bool svm_needs_opcode(const struct vcpu_exit *exit, enum opcode_kind *kind);

/* Completes *EXIT from the instruction. */
void svm_use_opcode(struct vcpu_exit *exit, const struct opcode *opcode);

/* An event field of the VMCB and the other way round. False: none, or one that comes again by itself, as its instruction
 * is executed again. */
bool svm_decode_event(struct vcpu_event *event, uint64_t field);
uint64_t svm_encode_event(const struct vcpu_event *event);
