/* Every number of the seL4 16.0.0 ABI (pc99 x86_64, configuration in sel4/config.h). Freestanding; the part outside
 * the __ASSEMBLER__ guard may be included from assembly. */
#pragma once

#include <sel4/config.h>
#include <sel4/labels.h>

/* Words, pages and paging structures: log2 of sizes in bytes, of entries, and of entries a table. */
#define seL4_WordBits 64
#define seL4_WordSizeBits 3
#define seL4_PageBits 12
#define seL4_LargePageBits 21
#define seL4_HugePageBits 30
#define seL4_VSpaceBits 12
#define seL4_PML4Bits 12
#define seL4_PML4EntryBits 3
#define seL4_PML4IndexBits 9
#define seL4_PDPTBits 12
#define seL4_PDPTEntryBits 3
#define seL4_PDPTIndexBits 9
#define seL4_PageDirBits 12
#define seL4_PageDirEntryBits 3
#define seL4_PageDirIndexBits 9
#define seL4_PageTableBits 12
#define seL4_PageTableEntryBits 3
#define seL4_PageTableIndexBits 9
#define seL4_IOPageTableBits 12
#define seL4_IOPageTableEntryBits 3
#define seL4_IOPageTableIndexBits 9
#define seL4_X86_EPTPML4Bits 12
#define seL4_X86_EPTPML4EntryBits 3
#define seL4_X86_EPTPML4IndexBits 9
#define seL4_X86_EPTPDPTBits 12
#define seL4_X86_EPTPDPTEntryBits 3
#define seL4_X86_EPTPDPTIndexBits 9
#define seL4_X86_EPTPDBits 12
#define seL4_X86_EPTPDEntryBits 3
#define seL4_X86_EPTPDIndexBits 9
#define seL4_X86_EPTPTBits 12
#define seL4_X86_EPTPTEntryBits 3
#define seL4_X86_EPTPTIndexBits 9

/* The other objects, and the limits of untyped memory. */
#define seL4_SlotBits 5
#define seL4_TCBBits 12
#define seL4_EndpointBits 4
#define seL4_NotificationBits 5
#define seL4_VCPUBits 14
#define seL4_X86_VCPUBits 14
#define seL4_NumASIDPoolsBits 3
#define seL4_ASIDPoolBits 12
#define seL4_ASIDPoolIndexBits 9
#define seL4_MinUntypedBits 4
#define seL4_MaxUntypedBits 47
#define seL4_UntypedRetypeMaxObjects 256

/* Where user addresses end: the first unusable one, and the last usable one. */
#define seL4_UserTop 0x7ffffffff000
#define seL4_UserVSpaceTop 0x7fffffffefff

/* Capability data: guards of CNodes, badges of endpoints and notifications, rights. */
#define seL4_GuardSizeBits 6
#define seL4_GuardBits 58
#define seL4_BadgeBits 64
#define seL4_CapRightsBits 4
#define seL4_NilData 0

/* Messages: how many words travel in registers, how many capabilities in one message, the IPC buffer. */
#define seL4_FastMessageRegisters 4
#define seL4_MsgMaxExtraCaps 3
#define seL4_IPCBufferSizeBits 10

/* Bootinfo. */
#define seL4_BootInfoFrameBits 12
#define seL4_BootInfoFrameSize 4096
#define seL4_CapInitThreadPD 3

/* Faults by their older names, and the two values of seL4_VMFault_PrefetchFault. */
#define seL4_NoFault 0
#define seL4_CapFault 1
#define seL4_UnknownSyscall 2
#define seL4_UserException 3
#define seL4_VMFault 5
#define seL4_DataFault 0
#define seL4_InstructionFault 1
#define SEL4_EXCEPT_IPC_LABEL 2
#define SEL4_USER_EXCEPTION_LABEL 3
#define SEL4_USER_EXCEPTION_LENGTH 5
#define SEL4_PFIPC_LABEL 5
#define SEL4_PFIPC_LENGTH 4
#define SEL4_PFIPC_FAULT_IP 0
#define SEL4_PFIPC_FAULT_ADDR 1
#define SEL4_PFIPC_PREFETCH_FAULT 2
#define SEL4_PFIPC_FSR 3

/* Results of seL4_VMEnter, and how many message registers each fills. */
#define SEL4_VMENTER_RESULT_NOTIF 0
#define SEL4_VMENTER_RESULT_FAULT 1
#define SEL4_VMENTER_RESULT_NOTIF_LEN 3
#define SEL4_VMENTER_RESULT_FAULT_LEN 25
#define SEL4_VMENTER_CALL_CONTROL_ENTRY_MR 2

#define seL4_False 0
#define seL4_True 1
#define seL4_Null 0
#define seL4_IA32_PDPTObject 5

/* System calls: the number in rdx. */
#define seL4_SysCall (-1)
#define seL4_SysReplyRecv (-2)
#define seL4_SysSend (-3)
#define seL4_SysNBSend (-4)
#define seL4_SysRecv (-5)
#define seL4_SysReply (-6)
#define seL4_SysYield (-7)
#define seL4_SysNBRecv (-8)
#define seL4_SysDebugPutChar (-9)
#define seL4_SysDebugDumpScheduler (-10)
#define seL4_SysDebugHalt (-11)
#define seL4_SysDebugCapIdentify (-12)
#define seL4_SysDebugSnapshot (-13)
#define seL4_SysDebugNameThread (-14)
#define seL4_SysDebugSendIPI (-15)
#define seL4_SysDebugGetThreadAffinity (-16)
#define seL4_SysVMEnter (-29)

#ifndef __ASSEMBLER__

/* What an invocation answers, as the label of its reply. */
typedef enum {
    seL4_NoError = 0,
    seL4_InvalidArgument = 1,
    seL4_InvalidCapability = 2,
    seL4_IllegalOperation = 3,
    seL4_RangeError = 4,
    seL4_AlignmentError = 5,
    seL4_FailedLookup = 6,
    seL4_TruncatedMessage = 7,
    seL4_DeleteFirst = 8,
    seL4_RevokeFirst = 9,
    seL4_NotEnoughMemory = 10,
    seL4_NumErrors = 11,
} seL4_Error;

/* Object types for seL4_Untyped_Retype: of every architecture, of x86-64, of x86. */
enum api_object {
    seL4_UntypedObject = 0,
    seL4_TCBObject = 1,
    seL4_EndpointObject = 2,
    seL4_NotificationObject = 3,
    seL4_CapTableObject = 4,
    seL4_NonArchObjectTypeCount = 5,
};
enum x86_64_object {
    seL4_X86_PDPTObject = 5,
    seL4_X64_PML4Object = 6,
    seL4_X64_HugePageObject = 7,
    seL4_ModeObjectTypeCount = 8,
};
enum x86_object {
    seL4_X86_4K = 8,
    seL4_X86_LargePageObject = 9,
    seL4_X86_PageTableObject = 10,
    seL4_X86_PageDirectoryObject = 11,
    seL4_X86_IOPageTableObject = 12,
    seL4_X86_VCPUObject = 13,
    seL4_X86_EPTPML4Object = 14,
    seL4_X86_EPTPDPTObject = 15,
    seL4_X86_EPTPDObject = 16,
    seL4_X86_EPTPTObject = 17,
    seL4_ObjectTypeCount = 18,
};

/* Slots of the root CNode that the kernel fills for the root task. */
enum seL4_RootCNodeCapSlots {
    seL4_CapNull = 0,
    seL4_CapInitThreadTCB = 1,
    seL4_CapInitThreadCNode = 2,
    seL4_CapInitThreadVSpace = 3,
    seL4_CapIRQControl = 4,
    seL4_CapASIDControl = 5,
    seL4_CapInitThreadASIDPool = 6,
    seL4_CapIOPortControl = 7,
    seL4_CapIOSpace = 8,
    seL4_CapBootInfoFrame = 9,
    seL4_CapInitThreadIPCBuffer = 10,
    seL4_CapDomain = 11,
    seL4_CapSMMUSIDControl = 12,
    seL4_CapSMMUCBControl = 13,
    seL4_CapInitThreadSC = 14,
    seL4_CapSMC = 15,
    seL4_NumInitialCaps = 16,
};

/* Extra records behind bootinfo. */
typedef enum {
    SEL4_BOOTINFO_HEADER_PADDING = 0,
    SEL4_BOOTINFO_HEADER_X86_VBE = 1,
    SEL4_BOOTINFO_HEADER_X86_MBMMAP = 2,
    SEL4_BOOTINFO_HEADER_X86_ACPI_RSDP = 3,
    SEL4_BOOTINFO_HEADER_X86_FRAMEBUFFER = 4,
    SEL4_BOOTINFO_HEADER_X86_TSC_FREQ = 5,
    SEL4_BOOTINFO_HEADER_FDT = 6,
    SEL4_BOOTINFO_HEADER_NUM = 7,
} seL4_BootInfoID;

enum priorityConstants {
    seL4_InvalidPrio = -1,
    seL4_MinPrio = 0,
    seL4_MaxPrio = 255,
};

/* Words and capabilities of one message. */
enum seL4_MsgLimits {
    seL4_MsgLengthBits = 7,
    seL4_MsgExtraCapBits = 2,
    seL4_MsgMaxLength = 120,
};

/* Flags of a thread, for seL4_TCB_SetFlags. */
typedef enum {
    seL4_TCBFlag_NoFlag = 0,
    seL4_TCBFlag_fpuDisabled = 1,
    seL4_TCBFlag_MASK = 1,
} seL4_TCBFlag;

/* Memory types of a mapping, for seL4_X86_Page_Map and the maps of paging structures. */
typedef enum {
    seL4_X86_Default_VMAttributes = 0,
    seL4_X86_WriteBack = 0,
    seL4_X86_WriteThrough = 1,
    seL4_X86_CacheDisabled = 2,
    seL4_X86_Uncacheable = 3,
    seL4_X86_WriteCombining = 4,
} seL4_X86_VMAttributes;

/* Memory types of a guest-physical mapping. */
typedef enum {
    seL4_X86_EPT_Uncached_VMAttributes = 6,
    seL4_X86_EPT_Uncacheable = 0,
    seL4_X86_EPT_WriteCombining = 1,
    seL4_X86_EPT_WriteThrough = 4,
    seL4_X86_EPT_WriteProtected = 5,
    seL4_X86_EPT_WriteBack = 6,
    seL4_X86_EPT_Default_VMAttributes = 6,
} seL4_X86_EPT_VMAttributes;

/* Why a capability lookup failed. */
typedef enum {
    seL4_NoFailure = 0,
    seL4_InvalidRoot = 1,
    seL4_MissingCapability = 2,
    seL4_DepthMismatch = 3,
    seL4_GuardMismatch = 4,
} seL4_LookupFailureType;

/* Label of a fault message. */
typedef enum {
    seL4_Fault_NullFault = 0,
    seL4_Fault_CapFault = 1,
    seL4_Fault_UnknownSyscall = 2,
    seL4_Fault_UserException = 3,
    seL4_Fault_VMFault = 5,
} seL4_Fault_tag_t;

/* Words of a capability fault; the last ones depend on the lookup failure. */
typedef enum {
    seL4_CapFault_IP = 0,
    seL4_CapFault_Addr = 1,
    seL4_CapFault_InRecvPhase = 2,
    seL4_CapFault_LookupFailureType = 3,
    seL4_CapFault_BitsLeft = 4,
    seL4_CapFault_DepthMismatch_BitsFound = 5,
    seL4_CapFault_GuardMismatch_GuardFound = 5,
    seL4_CapFault_GuardMismatch_BitsFound = 6,
} seL4_CapFault_Msg;

/* Words of a page fault. */
typedef enum {
    seL4_VMFault_IP = 0,
    seL4_VMFault_Addr = 1,
    seL4_VMFault_PrefetchFault = 2,
    seL4_VMFault_FSR = 3,
    seL4_VMFault_Length = 4,
} seL4_VMFault_Msg;

/* Words of a fault message for a system call that is not seL4's; the reply sets the same registers. */
typedef enum {
    seL4_UnknownSyscall_RAX = 0,
    seL4_UnknownSyscall_RBX = 1,
    seL4_UnknownSyscall_RCX = 2,
    seL4_UnknownSyscall_RDX = 3,
    seL4_UnknownSyscall_RSI = 4,
    seL4_UnknownSyscall_RDI = 5,
    seL4_UnknownSyscall_RBP = 6,
    seL4_UnknownSyscall_R8 = 7,
    seL4_UnknownSyscall_R9 = 8,
    seL4_UnknownSyscall_R10 = 9,
    seL4_UnknownSyscall_R11 = 10,
    seL4_UnknownSyscall_R12 = 11,
    seL4_UnknownSyscall_R13 = 12,
    seL4_UnknownSyscall_R14 = 13,
    seL4_UnknownSyscall_R15 = 14,
    seL4_UnknownSyscall_FaultIP = 15,
    seL4_UnknownSyscall_SP = 16,
    seL4_UnknownSyscall_FLAGS = 17,
    seL4_UnknownSyscall_Syscall = 18,
    seL4_UnknownSyscall_Length = 19,
} seL4_UnknownSyscall_Msg;

/* Words of a fault message for a processor exception. */
typedef enum {
    seL4_UserException_FaultIP = 0,
    seL4_UserException_SP = 1,
    seL4_UserException_FLAGS = 2,
    seL4_UserException_Number = 3,
    seL4_UserException_Code = 4,
    seL4_UserException_Length = 5,
} seL4_UserException_Msg;

/* Message registers of seL4_VMEnter: the first three both ways, the others when the guest exited. */
typedef enum {
    SEL4_VMENTER_CALL_EIP_MR = 0,
    SEL4_VMENTER_CALL_CONTROL_PPC_MR = 1,
    SEL4_VMENTER_CALL_INTERRUPT_INFO_MR = 2,
    SEL4_VMENTER_FAULT_REASON_MR = 3,
    SEL4_VMENTER_FAULT_QUALIFICATION_MR = 4,
    SEL4_VMENTER_FAULT_INSTRUCTION_LEN_MR = 5,
    SEL4_VMENTER_FAULT_GUEST_PHYSICAL_MR = 6,
    SEL4_VMENTER_FAULT_RFLAGS_MR = 7,
    SEL4_VMENTER_FAULT_GUEST_INT_MR = 8,
    SEL4_VMENTER_FAULT_CR3_MR = 9,
    SEL4_VMENTER_FAULT_EAX = 10,
    SEL4_VMENTER_FAULT_EBX = 11,
    SEL4_VMENTER_FAULT_ECX = 12,
    SEL4_VMENTER_FAULT_EDX = 13,
    SEL4_VMENTER_FAULT_ESI = 14,
    SEL4_VMENTER_FAULT_EDI = 15,
    SEL4_VMENTER_FAULT_EBP = 16,
    SEL4_VMENTER_FAULT_R8 = 17,
    SEL4_VMENTER_FAULT_R9 = 18,
    SEL4_VMENTER_FAULT_R10 = 19,
    SEL4_VMENTER_FAULT_R11 = 20,
    SEL4_VMENTER_FAULT_R12 = 21,
    SEL4_VMENTER_FAULT_R13 = 22,
    SEL4_VMENTER_FAULT_R14 = 23,
    SEL4_VMENTER_FAULT_R15 = 24,
    SEL4_VMENTER_NUM_FAULT_MSGS = 25,
} kernel_fault_context;

#endif
