#include "beaml4-init/fault_text.h"

#include "ipc/startup.h"

#include <sel4/types.h>
#include <stdio.h>

#define FSR_WRITE 2u /* SDM 3A 4.7, page-fault error code */
#define PAGE_BYTES 4096u

/* SDM 3A table 6-1. */
static const char *exception_name(uint64_t number)
{
    static const char *const name[] = {
        [0] = "division error", [1] = "debug exception", [3] = "breakpoint", [4] = "overflow", [5] = "bound exceeded",
        [6] = "invalid opcode", [7] = "FPU or vector instruction", [8] = "double fault", [10] = "invalid TSS",
        [11] = "segment not present", [12] = "stack fault", [13] = "general protection", [14] = "page fault",
        [16] = "x87 error", [17] = "alignment check", [18] = "machine check", [19] = "SIMD error",
    };

    return number < sizeof name / sizeof name[0] && name[number] ? name[number] : "exception";
}

static const char *place(uint64_t address)
{
    uint64_t guard = SERVICE_STACK_TOP - SERVICE_STACK_SIZE - PAGE_BYTES;

    if (address < PAGE_BYTES)
        return ", a null pointer";
    return address >= guard && address < guard + PAGE_BYTES ? ", below its stack" : "";
}

void fault_text(char *text, size_t size, uint64_t label, const uint64_t words[FAULT_WORDS])
{
    switch (label) {
    case seL4_Fault_CapFault:
        snprintf(text, size, "invalid capability %#lx at ip %#lx", words[seL4_CapFault_Addr], words[seL4_CapFault_IP]);
        break;
    case seL4_Fault_UnknownSyscall:
        snprintf(text, size, "unknown system call %ld at ip %#lx", (long)words[seL4_UnknownSyscall_Syscall],
                 words[seL4_UnknownSyscall_FaultIP]);
        break;
    case seL4_Fault_UserException:
        snprintf(text, size, "%s (exception %lu, code %#lx) at ip %#lx",
                 exception_name(words[seL4_UserException_Number]), words[seL4_UserException_Number],
                 words[seL4_UserException_Code], words[seL4_UserException_FaultIP]);
        break;
    case seL4_Fault_VMFault:
        snprintf(text, size, "page fault: %s address %#lx%s, at ip %#lx",
                 words[seL4_VMFault_PrefetchFault]          ? "execution of"
                 : words[seL4_VMFault_FSR] & FSR_WRITE ? "write to"
                                                            : "read of",
                 words[seL4_VMFault_Addr], place(words[seL4_VMFault_Addr]), words[seL4_VMFault_IP]);
        break;
    default:
        snprintf(text, size, "fault of an unknown kind (%lu)", label);
        break;
    }
}
