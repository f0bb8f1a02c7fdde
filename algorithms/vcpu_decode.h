/* What VT-x says of an exit (SDM 3C 28.2), as a struct vcpu_exit. */
#pragma once

#include "algorithms/vcpu.h"

#include <sel4/vmcs.h>
#include <stdbool.h>
#include <stdint.h>

/* Fills *EXIT from what every exit comes with; what the string forms of IN and OUT need in addition is in
 * vmx_decode_string_io, what an exception does in vmx_decode_event. */
void vmx_decode_exit(struct vcpu_exit *exit, uint32_t reason, uint64_t qualification, unsigned instruction_length,
                     uint64_t guest_physical);

/* INSTRUCTION_INFORMATION: SDM 3C table 28-9. */
void vmx_decode_string_io(struct vcpu_exit *exit, uint32_t instruction_information);

/* An interruption-information field (SDM 3C 25.8.3, tables 25-16 and 25-18) and the other way round. False: none, or
 * one that comes again by itself, as its instruction is executed again (software interrupts and exceptions). */
bool vmx_decode_event(struct vcpu_event *event, uint32_t information, uint32_t error);
uint32_t vmx_encode_event(const struct vcpu_event *event);
