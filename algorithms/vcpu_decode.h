/* What VT-x says of an exit (SDM 3C 28.2), as a struct vcpu_exit. */
#pragma once

#include "algorithms/vcpu.h"

#include <stdbool.h>
#include <stdint.h>

/* Basic exit reasons (SDM 3D appendix C). */
enum vmx_reason {
    VMX_REASON_EXCEPTION_OR_NMI = 0,
    VMX_REASON_EXTERNAL_INTERRUPT = 1,
    VMX_REASON_TRIPLE_FAULT = 2,
    VMX_REASON_INIT = 3,
    VMX_REASON_SIPI = 4,
    VMX_REASON_INTERRUPT_WINDOW = 7,
    VMX_REASON_NMI_WINDOW = 8,
    VMX_REASON_TASK_SWITCH = 9,
    VMX_REASON_CPUID = 10,
    VMX_REASON_GETSEC = 11,
    VMX_REASON_HLT = 12,
    VMX_REASON_INVD = 13,
    VMX_REASON_INVLPG = 14,
    VMX_REASON_RDPMC = 15,
    VMX_REASON_RDTSC = 16,
    VMX_REASON_RSM = 17,
    VMX_REASON_VMCALL = 18,
    VMX_REASON_VMCLEAR = 19,
    VMX_REASON_VMXON = 27,
    VMX_REASON_CONTROL_REGISTER = 28,
    VMX_REASON_DEBUG_REGISTER = 29,
    VMX_REASON_IO = 30,
    VMX_REASON_RDMSR = 31,
    VMX_REASON_WRMSR = 32,
    VMX_REASON_INVALID_STATE = 33,
    VMX_REASON_MSR_LOADING = 34,
    VMX_REASON_MWAIT = 36,
    VMX_REASON_MONITOR_TRAP = 37,
    VMX_REASON_MONITOR = 39,
    VMX_REASON_PAUSE = 40,
    VMX_REASON_MACHINE_CHECK = 41,
    VMX_REASON_EPT_VIOLATION = 48,
    VMX_REASON_EPT_MISCONFIGURATION = 49,
    VMX_REASON_INVEPT = 50,
    VMX_REASON_RDTSCP = 51,
    VMX_REASON_PREEMPTION_TIMER = 52,
    VMX_REASON_INVVPID = 53,
    VMX_REASON_WBINVD = 54,
    VMX_REASON_XSETBV = 55,
    VMX_REASON_INVPCID = 58,
    VMX_REASON_VMFUNC = 59,
    VMX_REASON_COUNT = 75,
};

/* What seL4 reports where the entry itself failed. */
#define VMX_REASON_ENTRY_FAILED UINT32_C(0xffffffff)

/* Fills *EXIT from what every exit comes with; what the string forms of IN and OUT need in addition is in
 * vmx_decode_string_io. The linear address of a memory access is not among it: LINEAR_VALID says whether there is one. */
void vmx_decode_exit(struct vcpu_exit *exit, uint32_t reason, uint64_t qualification, unsigned instruction_length,
                     uint64_t guest_physical);

/* INSTRUCTION_INFORMATION: SDM 3C table 28-9. */
void vmx_decode_string_io(struct vcpu_exit *exit, uint32_t instruction_information);

/* An interruption-information field (SDM 3C 25.8.3, tables 25-16 and 25-18) and the other way round. False: none, or
 * one that comes again by itself, as its instruction is executed again (software interrupts and exceptions). */
bool vmx_decode_event(struct vcpu_event *event, uint32_t information, uint32_t error);
uint32_t vmx_encode_event(const struct vcpu_event *event);
