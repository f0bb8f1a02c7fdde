/* Invocations of the x86 objects: page tables, frames, address spaces, I/O ports, virtual CPUs. Included by
 * sel4/invocations.h, which says what they have in common.
 */
#pragma once

/* Paging structures */

LIBSEL4_INLINE seL4_Error seL4_X86_PDPT_Map(seL4_X86_PDPT service, seL4_X64_PML4 pml4, seL4_Word vaddr,
                                            seL4_X86_VMAttributes attr)
{
    seL4_SetCap(0, pml4);
    return sel4_invoke(service, X86PDPTMap, 1, 2, SEL4_WORDS(vaddr, attr));
}

LIBSEL4_INLINE seL4_Error seL4_X86_PDPT_Unmap(seL4_X86_PDPT service)
{
    return sel4_invoke(service, X86PDPTUnmap, 0, 0, SEL4_WORDS(0));
}

LIBSEL4_INLINE seL4_Error seL4_X86_PageDirectory_Map(seL4_X86_PageDirectory service, seL4_CPtr vspace, seL4_Word vaddr,
                                                     seL4_X86_VMAttributes attr)
{
    seL4_SetCap(0, vspace);
    return sel4_invoke(service, X86PageDirectoryMap, 1, 2, SEL4_WORDS(vaddr, attr));
}

LIBSEL4_INLINE seL4_Error seL4_X86_PageDirectory_Unmap(seL4_X86_PageDirectory service)
{
    return sel4_invoke(service, X86PageDirectoryUnmap, 0, 0, SEL4_WORDS(0));
}

LIBSEL4_INLINE seL4_Error seL4_X86_PageTable_Map(seL4_X86_PageTable service, seL4_CPtr vspace, seL4_Word vaddr,
                                                 seL4_X86_VMAttributes attr)
{
    seL4_SetCap(0, vspace);
    return sel4_invoke(service, X86PageTableMap, 1, 2, SEL4_WORDS(vaddr, attr));
}

LIBSEL4_INLINE seL4_Error seL4_X86_PageTable_Unmap(seL4_X86_PageTable service)
{
    return sel4_invoke(service, X86PageTableUnmap, 0, 0, SEL4_WORDS(0));
}

LIBSEL4_INLINE seL4_Error seL4_X86_IOPageTable_Map(seL4_X86_IOPageTable service, seL4_X86_IOSpace iospace,
                                                   seL4_Word ioaddr)
{
    seL4_SetCap(0, iospace);
    return sel4_invoke(service, X86IOPageTableMap, 1, 1, SEL4_WORDS(ioaddr));
}

LIBSEL4_INLINE seL4_Error seL4_X86_IOPageTable_Unmap(seL4_X86_IOPageTable service)
{
    return sel4_invoke(service, X86IOPageTableUnmap, 0, 0, SEL4_WORDS(0));
}

LIBSEL4_INLINE seL4_Error seL4_X86_EPTPDPT_Map(seL4_X86_EPTPDPT service, seL4_X86_EPTPML4 eptpml4, seL4_Word gpa,
                                               seL4_X86_EPT_VMAttributes attr)
{
    seL4_SetCap(0, eptpml4);
    return sel4_invoke(service, X86EPTPDPTMap, 1, 2, SEL4_WORDS(gpa, attr));
}

LIBSEL4_INLINE seL4_Error seL4_X86_EPTPDPT_Unmap(seL4_X86_EPTPDPT service)
{
    return sel4_invoke(service, X86EPTPDPTUnmap, 0, 0, SEL4_WORDS(0));
}

LIBSEL4_INLINE seL4_Error seL4_X86_EPTPD_Map(seL4_X86_EPTPD service, seL4_X86_EPTPML4 eptpml4, seL4_Word gpa,
                                             seL4_X86_EPT_VMAttributes attr)
{
    seL4_SetCap(0, eptpml4);
    return sel4_invoke(service, X86EPTPDMap, 1, 2, SEL4_WORDS(gpa, attr));
}

LIBSEL4_INLINE seL4_Error seL4_X86_EPTPD_Unmap(seL4_X86_EPTPD service)
{
    return sel4_invoke(service, X86EPTPDUnmap, 0, 0, SEL4_WORDS(0));
}

LIBSEL4_INLINE seL4_Error seL4_X86_EPTPT_Map(seL4_X86_EPTPT service, seL4_X86_EPTPML4 eptpml4, seL4_Word gpa,
                                             seL4_X86_EPT_VMAttributes attr)
{
    seL4_SetCap(0, eptpml4);
    return sel4_invoke(service, X86EPTPTMap, 1, 2, SEL4_WORDS(gpa, attr));
}

LIBSEL4_INLINE seL4_Error seL4_X86_EPTPT_Unmap(seL4_X86_EPTPT service)
{
    return sel4_invoke(service, X86EPTPTUnmap, 0, 0, SEL4_WORDS(0));
}

/* Frames */

LIBSEL4_INLINE seL4_Error seL4_X86_Page_Map(seL4_X86_Page service, seL4_CPtr vspace, seL4_Word vaddr,
                                            seL4_CapRights_t rights, seL4_X86_VMAttributes attr)
{
    seL4_SetCap(0, vspace);
    return sel4_invoke(service, X86PageMap, 1, 3, SEL4_WORDS(vaddr, rights.words[0], attr));
}

LIBSEL4_INLINE seL4_Error seL4_X86_Page_MapEPT(seL4_X86_Page service, seL4_X86_EPTPML4 eptpml4, seL4_Word gpa,
                                               seL4_CapRights_t rights, seL4_X86_EPT_VMAttributes attr)
{
    seL4_SetCap(0, eptpml4);
    return sel4_invoke(service, X86PageMapEPT, 1, 3, SEL4_WORDS(gpa, rights.words[0], attr));
}

LIBSEL4_INLINE seL4_Error seL4_X86_Page_MapIO(seL4_X86_Page service, seL4_X86_IOSpace iospace, seL4_CapRights_t rights,
                                              seL4_Word ioaddr)
{
    seL4_SetCap(0, iospace);
    return sel4_invoke(service, X86PageMapIO, 1, 2, SEL4_WORDS(rights.words[0], ioaddr));
}

LIBSEL4_INLINE seL4_Error seL4_X86_Page_Unmap(seL4_X86_Page service)
{
    return sel4_invoke(service, X86PageUnmap, 0, 0, SEL4_WORDS(0));
}

typedef struct seL4_X86_Page_GetAddress {
    int error;
    seL4_Word paddr;
} seL4_X86_Page_GetAddress_t;

LIBSEL4_INLINE seL4_X86_Page_GetAddress_t seL4_X86_Page_GetAddress(seL4_X86_Page service)
{
    seL4_Word mr[4] = { 0 };
    seL4_Error error = sel4_invoke(service, X86PageGetAddress, 0, 0, mr);
    return (seL4_X86_Page_GetAddress_t) { .error = (int)error, .paddr = mr[0] };
}

/* Address space identifiers */

LIBSEL4_INLINE seL4_Error seL4_X86_ASIDControl_MakePool(seL4_X86_ASIDControl service, seL4_Untyped untyped,
                                                        seL4_CNode root, seL4_Word index, seL4_Uint8 depth)
{
    seL4_SetCap(0, untyped);
    seL4_SetCap(1, root);
    return sel4_invoke(service, X86ASIDControlMakePool, 2, 2, SEL4_WORDS(index, depth));
}

LIBSEL4_INLINE seL4_Error seL4_X86_ASIDPool_Assign(seL4_X86_ASIDPool service, seL4_CPtr vspace)
{
    seL4_SetCap(0, vspace);
    return sel4_invoke(service, X86ASIDPoolAssign, 1, 0, SEL4_WORDS(0));
}

/* I/O ports */

LIBSEL4_INLINE seL4_Error seL4_X86_IOPortControl_Issue(seL4_X86_IOPortControl service, seL4_Word first_port,
                                                       seL4_Word last_port, seL4_CNode root, seL4_Word index,
                                                       seL4_Uint8 depth)
{
    seL4_SetCap(0, root);
    return sel4_invoke(service, X86IOPortControlIssue, 1, 4, SEL4_WORDS(first_port, last_port, index, depth));
}

typedef struct seL4_X86_IOPort_In8 {
    int error;
    seL4_Uint8 result;
} seL4_X86_IOPort_In8_t;

LIBSEL4_INLINE seL4_X86_IOPort_In8_t seL4_X86_IOPort_In8(seL4_X86_IOPort service, seL4_Uint16 port)
{
    seL4_Word mr[4] = { port };
    seL4_Error error = sel4_invoke(service, X86IOPortIn8, 0, 1, mr);
    return (seL4_X86_IOPort_In8_t) { .error = (int)error, .result = (seL4_Uint8)mr[0] };
}

typedef struct seL4_X86_IOPort_In16 {
    int error;
    seL4_Uint16 result;
} seL4_X86_IOPort_In16_t;

LIBSEL4_INLINE seL4_X86_IOPort_In16_t seL4_X86_IOPort_In16(seL4_X86_IOPort service, seL4_Uint16 port)
{
    seL4_Word mr[4] = { port };
    seL4_Error error = sel4_invoke(service, X86IOPortIn16, 0, 1, mr);
    return (seL4_X86_IOPort_In16_t) { .error = (int)error, .result = (seL4_Uint16)mr[0] };
}

typedef struct seL4_X86_IOPort_In32 {
    int error;
    seL4_Uint32 result;
} seL4_X86_IOPort_In32_t;

LIBSEL4_INLINE seL4_X86_IOPort_In32_t seL4_X86_IOPort_In32(seL4_X86_IOPort service, seL4_Uint16 port)
{
    seL4_Word mr[4] = { port };
    seL4_Error error = sel4_invoke(service, X86IOPortIn32, 0, 1, mr);
    return (seL4_X86_IOPort_In32_t) { .error = (int)error, .result = (seL4_Uint32)mr[0] };
}

LIBSEL4_INLINE seL4_Error seL4_X86_IOPort_Out8(seL4_X86_IOPort service, seL4_Word port, seL4_Word data)
{
    return sel4_invoke(service, X86IOPortOut8, 0, 2, SEL4_WORDS(port, data));
}

LIBSEL4_INLINE seL4_Error seL4_X86_IOPort_Out16(seL4_X86_IOPort service, seL4_Word port, seL4_Word data)
{
    return sel4_invoke(service, X86IOPortOut16, 0, 2, SEL4_WORDS(port, data));
}

LIBSEL4_INLINE seL4_Error seL4_X86_IOPort_Out32(seL4_X86_IOPort service, seL4_Word port, seL4_Word data)
{
    return sel4_invoke(service, X86IOPortOut32, 0, 2, SEL4_WORDS(port, data));
}

/* Virtual CPUs */

LIBSEL4_INLINE seL4_Error seL4_TCB_SetEPTRoot(seL4_TCB service, seL4_X86_EPTPML4 eptpml4)
{
    seL4_SetCap(0, eptpml4);
    return sel4_invoke(service, TCBSetEPTRoot, 1, 0, SEL4_WORDS(0));
}

LIBSEL4_INLINE seL4_Error seL4_X86_VCPU_SetTCB(seL4_X86_VCPU service, seL4_TCB tcb)
{
    seL4_SetCap(0, tcb);
    return sel4_invoke(service, X86VCPUSetTCB, 1, 0, SEL4_WORDS(0));
}

typedef struct seL4_X86_VCPU_ReadVMCS {
    int error;
    seL4_Word value;
} seL4_X86_VCPU_ReadVMCS_t;

LIBSEL4_INLINE seL4_X86_VCPU_ReadVMCS_t seL4_X86_VCPU_ReadVMCS(seL4_X86_VCPU service, seL4_Word field)
{
    seL4_Word mr[4] = { field };
    seL4_Error error = sel4_invoke(service, X86VCPUReadVMCS, 0, 1, mr);
    return (seL4_X86_VCPU_ReadVMCS_t) { .error = (int)error, .value = mr[0] };
}

typedef struct seL4_X86_VCPU_WriteVMCS {
    int error;
    seL4_Word written; /* VALUE after the kernel has masked it */
} seL4_X86_VCPU_WriteVMCS_t;

LIBSEL4_INLINE seL4_X86_VCPU_WriteVMCS_t seL4_X86_VCPU_WriteVMCS(seL4_X86_VCPU service, seL4_Word field,
                                                                 seL4_Word value)
{
    seL4_Word mr[4] = { field, value };
    seL4_Error error = sel4_invoke(service, X86VCPUWriteVMCS, 0, 2, mr);
    return (seL4_X86_VCPU_WriteVMCS_t) { .error = (int)error, .written = mr[0] };
}

typedef struct seL4_X86_VCPU_ReadMSR {
    int error;
    seL4_Word value;
} seL4_X86_VCPU_ReadMSR_t;

LIBSEL4_INLINE seL4_X86_VCPU_ReadMSR_t seL4_X86_VCPU_ReadMSR(seL4_X86_VCPU service, seL4_Word field)
{
    seL4_Word mr[4] = { field };
    seL4_Error error = sel4_invoke(service, X86VCPUReadMSR, 0, 1, mr);
    return (seL4_X86_VCPU_ReadMSR_t) { .error = (int)error, .value = mr[0] };
}

typedef struct seL4_X86_VCPU_WriteMSR {
    int error;
    seL4_Word written;
} seL4_X86_VCPU_WriteMSR_t;

LIBSEL4_INLINE seL4_X86_VCPU_WriteMSR_t seL4_X86_VCPU_WriteMSR(seL4_X86_VCPU service, seL4_Word field, seL4_Word value)
{
    seL4_Word mr[4] = { field, value };
    seL4_Error error = sel4_invoke(service, X86VCPUWriteMSR, 0, 2, mr);
    return (seL4_X86_VCPU_WriteMSR_t) { .error = (int)error, .written = mr[0] };
}

LIBSEL4_INLINE seL4_Error seL4_X86_VCPU_EnableIOPort(seL4_X86_VCPU service, seL4_X86_IOPort io_port, seL4_Word low,
                                                     seL4_Word high)
{
    seL4_SetCap(0, io_port);
    return sel4_invoke(service, X86VCPUEnableIOPort, 1, 2, SEL4_WORDS(low, high));
}

LIBSEL4_INLINE seL4_Error seL4_X86_VCPU_DisableIOPort(seL4_X86_VCPU service, seL4_Word low, seL4_Word high)
{
    return sel4_invoke(service, X86VCPUDisableIOPort, 0, 2, SEL4_WORDS(low, high));
}

LIBSEL4_INLINE seL4_Error seL4_X86_VCPU_WriteRegisters(seL4_X86_VCPU service, const seL4_VCPUContext *regs)
{
    const seL4_Word *word = (const seL4_Word *)regs;
    const seL4_Word count = sizeof *regs / sizeof *word;

    for (seL4_Word i = 4; i < count; i++)
        seL4_SetMR((int)i, word[i]);
    return sel4_invoke(service, X86VCPUWriteRegisters, 0, count, SEL4_WORDS(word[0], word[1], word[2], word[3]));
}
