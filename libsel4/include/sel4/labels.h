/* Invocation labels: what a message's label says when its destination is a kernel object rather than an endpoint. */
#pragma once

#ifndef __ASSEMBLER__

/* Objects that every architecture has. */
enum invocation_label {
    InvalidInvocation = 0,
    UntypedRetype = 1,
    TCBReadRegisters = 2,
    TCBWriteRegisters = 3,
    TCBCopyRegisters = 4,
    TCBConfigure = 5,
    TCBSetPriority = 6,
    TCBSetMCPriority = 7,
    TCBSetSchedParams = 8,
    TCBSetIPCBuffer = 9,
    TCBSetSpace = 10,
    TCBSuspend = 11,
    TCBResume = 12,
    TCBBindNotification = 13,
    TCBUnbindNotification = 14,
    TCBSetAffinity = 15,
    TCBSetTLSBase = 16,
    TCBSetFlags = 17,
    CNodeRevoke = 18,
    CNodeDelete = 19,
    CNodeCancelBadgedSends = 20,
    CNodeCopy = 21,
    CNodeMint = 22,
    CNodeMove = 23,
    CNodeMutate = 24,
    CNodeRotate = 25,
    CNodeSaveCaller = 26,
    IRQIssueIRQHandler = 27,
    IRQAckIRQ = 28,
    IRQSetIRQHandler = 29,
    IRQClearIRQHandler = 30,
    DomainSetSet = 31,
    DomainScheduleConfigure = 32,
    DomainScheduleSetStart = 33,
    nInvocationLabels = 34,
};

/* Objects of x86-64. */
enum sel4_arch_invocation_label {
    X86PDPTMap = 34,
    X86PDPTUnmap = 35,
    X86VCPUReadMSR = 36,
    X86VCPUWriteMSR = 37,
    nSeL4ArchInvocationLabels = 38,
};

/* Objects of x86. */
enum arch_invocation_label {
    X86PageDirectoryMap = 38,
    X86PageDirectoryUnmap = 39,
    X86PageTableMap = 40,
    X86PageTableUnmap = 41,
    X86IOPageTableMap = 42,
    X86IOPageTableUnmap = 43,
    X86PageMap = 44,
    X86PageUnmap = 45,
    X86PageMapIO = 46,
    X86PageGetAddress = 47,
    X86PageMapEPT = 48,
    X86ASIDControlMakePool = 49,
    X86ASIDPoolAssign = 50,
    X86IOPortControlIssue = 51,
    X86IOPortIn8 = 52,
    X86IOPortIn16 = 53,
    X86IOPortIn32 = 54,
    X86IOPortOut8 = 55,
    X86IOPortOut16 = 56,
    X86IOPortOut32 = 57,
    X86IRQIssueIRQHandlerIOAPIC = 58,
    X86IRQIssueIRQHandlerMSI = 59,
    TCBSetEPTRoot = 60,
    X86VCPUSetTCB = 61,
    X86VCPUReadVMCS = 62,
    X86VCPUWriteVMCS = 63,
    X86VCPUEnableIOPort = 64,
    X86VCPUDisableIOPort = 65,
    X86VCPUWriteRegisters = 66,
    X86EPTPDPTMap = 67,
    X86EPTPDPTUnmap = 68,
    X86EPTPDMap = 69,
    X86EPTPDUnmap = 70,
    X86EPTPTMap = 71,
    X86EPTPTUnmap = 72,
    nArchInvocationLabels = 73,
};

#endif
