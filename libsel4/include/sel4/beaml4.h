/* What this project's own kernel tells the root task beyond upstream's bootinfo: a record behind bootinfo, found with
 * sel4_bootinfo_find. On a kernel without the record, VT-x is usable (upstream does not boot otherwise). */
#pragma once

#include <sel4/bootinfo.h>

#define SEL4_BOOTINFO_HEADER_BEAML4 0xbea40001u
#define SEL4_BEAML4_VERSION         1u

#define SEL4_BEAML4_VTX 1u /* VCPU and EPT objects can be had and run guests by VT-x */
#define SEL4_BEAML4_SVM 2u /* the same by AMD-V */

/* seL4_VMEnter with a message of SEL4_VMENTER_RESULT_FAULT_LEN words loads the guest's general registers from those that
 * an exit would report them in, as seL4_X86_VCPU_WriteRegisters would. Upstream does not look at the message's length. */
#define SEL4_BEAML4_VMENTER_REGISTERS 4u

/* Invocations beyond upstream's. */
enum beaml4_invocation_label {
    BEAML4_VCPUReadVMCB = 0x4001,
    BEAML4_VCPUWriteVMCB = 0x4002,
};

typedef struct seL4_BootInfo_beaml4 {
    seL4_BootInfoHeader header;
    seL4_Uint32 version;
    seL4_Uint32 features;  /* SEL4_BEAML4_VTX, … */
    seL4_Uint64 tsc_hz;    /* 0: not known more exactly than SEL4_BOOTINFO_HEADER_X86_TSC_FREQ says */
    char vtx_reason[64];   /* why there is no VT-x, zero-terminated */
} seL4_BootInfo_beaml4_t;

#ifndef BEAML4_KERNEL
#include <sel4/invocations.h>

/* The first four of COUNT words go in MR, the others into the IPC buffer. */
LIBSEL4_INLINE void sel4_fill_message(seL4_Word mr[static 4], seL4_Word count, const seL4_Word *words)
{
    for (seL4_Word i = 0; i < 4; i++)
        mr[i] = i < count ? words[i] : 0;
    for (seL4_Word i = 4; i < count; i++)
        seL4_SetMR((int)i, words[i]);
}

/* Fields of a VCPU on AMD-V, named as in sel4/vmcb.h. COUNT is up to 32; values replace the fields in WORDS.
 * seL4_InvalidArgument: a field that the owner does not have; its index is in message register 0. */
LIBSEL4_INLINE seL4_Error sel4_vcpu_read_vmcb(seL4_X86_VCPU vcpu, seL4_Word count, seL4_Word *words)
{
    seL4_Word mr[4];

    sel4_fill_message(mr, count, words);

    seL4_Error error = sel4_invoke(vcpu, BEAML4_VCPUReadVMCB, 0, count, mr);
    if (error == seL4_NoError)
        for (seL4_Word i = 0; i < count; i++)
            words[i] = i < 4 ? mr[i] : seL4_GetMR((int)i);
    return error;
}

/* WORDS are pairs of a field and a value, COUNT words in all, up to 120. The kernel cuts values to what the owner may set. */
LIBSEL4_INLINE seL4_Error sel4_vcpu_write_vmcb(seL4_X86_VCPU vcpu, seL4_Word count, const seL4_Word *words)
{
    seL4_Word mr[4];

    sel4_fill_message(mr, count, words);
    return sel4_invoke(vcpu, BEAML4_VCPUWriteVMCB, 0, count, mr);
}
#endif
