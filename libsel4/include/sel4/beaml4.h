/* What this project's own kernel tells the root task beyond upstream's bootinfo: a record behind bootinfo, found with
 * sel4_bootinfo_find. On a kernel without the record, VT-x is usable (upstream does not boot otherwise). */
#pragma once

#include <sel4/bootinfo.h>

#define SEL4_BOOTINFO_HEADER_BEAML4 0xbea40001u
#define SEL4_BEAML4_VERSION         1u

#define SEL4_BEAML4_VTX 1u /* VCPU and EPT objects can be had and run guests by VT-x */
#define SEL4_BEAML4_SVM 2u /* the same by AMD-V */

/* seL4_VMEnter with a message of SEL4_VMENTER_RESULT_FAULT_LEN words loads the guest's general registers from those
 * that an exit would report them in, as seL4_X86_VCPU_WriteRegisters would. Upstream does not look at the message's
 * length. */
#define SEL4_BEAML4_VMENTER_REGISTERS 4u

/* Threads whose system calls and exceptions are somebody else's: see BEAML4_TCBFlag_Foreign. */
#define SEL4_BEAML4_FOREIGN 8u

/* BEAML4_VSpaceOpenHighHalf: mappings anywhere in the upper half but in the kernel's own PML4 slot, 509. */
#define SEL4_BEAML4_HIGH_HALF 16u
#define SEL4_BEAML4_KERNEL_SLOT 509u

/* BEAML4_VSpaceMapFrames, BEAML4_VSpaceUnmapFrames: many pages in one call, also parts of larger frames. */
#define SEL4_BEAML4_SHADOW 32u

/* Invocations beyond upstream's. */
enum beaml4_invocation_label {
    BEAML4_VCPUReadVMCB = 0x4001,
    BEAML4_VCPUWriteVMCB = 0x4002,
    BEAML4_TCBStop = 0x4011,
    BEAML4_VSpaceOpenHighHalf = 0x4021,
    BEAML4_VSpaceMapFrames = 0x4022,
    BEAML4_VSpaceUnmapFrames = 0x4023,
};

/* A thread flag (seL4_TCB_SetFlags). Whatever such a thread does that ends in the kernel is a fault of one kind, also
 * each SYSCALL, whatever is in its registers; it can make no system calls. It may have RFLAGS.TF and NT. */
#define BEAML4_TCBFlag_Foreign 0x10000u

/* The message about such a fault: label and words. Message registers 0 to 15 are the general registers in the
 * processor's order (rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 …). For a SYSCALL rip is that of the instruction. An
 * answer with label 0 lets the thread go on: with 0 words as it is; with BEAML4_FOREIGN_REGISTERS words with those
 * registers; and with one word more in the address space that this word names, a capability pointer (0: as before).
 * Anything else leaves it stopped. */
#define BEAML4_Fault_Foreign 0x41u
enum {
    BEAML4_FOREIGN_RIP = 16,
    BEAML4_FOREIGN_RFLAGS,
    BEAML4_FOREIGN_FS_BASE,
    BEAML4_FOREIGN_GS_BASE,
    BEAML4_FOREIGN_REGISTERS,
    BEAML4_FOREIGN_KIND = BEAML4_FOREIGN_REGISTERS,
    BEAML4_FOREIGN_VECTOR,
    BEAML4_FOREIGN_ERROR,
    BEAML4_FOREIGN_ADDRESS, /* page fault: the address; debug exception: DR6 */
    BEAML4_FOREIGN_FAULT_LENGTH,
};
enum beaml4_foreign_kind {
    BEAML4_FOREIGN_SYSCALL,
    BEAML4_FOREIGN_EXCEPTION,
    BEAML4_FOREIGN_PAGE_FAULT,
    BEAML4_FOREIGN_STOPPED, /* by BEAML4_TCBStop */
};

/* BEAML4_VSpaceMapFrames: four words a page, {frame, destination slot, address | flags, offset in the frame}. The
 * page is 4 KiB or (BEAML4_MAP_LARGE) 2 MiB of the frame; the slot gets a capability to it, and loses what frame it
 * had. */
#define BEAML4_MAP_WRITE      2u
#define BEAML4_MAP_NO_EXECUTE 4u
#define BEAML4_MAP_LARGE      8u
#define BEAML4_MAP_WORDS      4u
#define BEAML4_MAP_FRAMES_MAX   28u
#define BEAML4_UNMAP_FRAMES_MAX 100u

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

/* WORDS are pairs of a field and a value, COUNT words in all, up to 120. The kernel cuts values to what the owner may
 * set. */
LIBSEL4_INLINE seL4_Error sel4_vcpu_write_vmcb(seL4_X86_VCPU vcpu, seL4_Word count, const seL4_Word *words)
{
    seL4_Word mr[4];

    sel4_fill_message(mr, count, words);
    return sel4_invoke(vcpu, BEAML4_VCPUWriteVMCB, 0, count, mr);
}

/* A foreign thread that runs reports a fault of the kind BEAML4_FOREIGN_STOPPED; for one that does not, nothing is
 * done. */
LIBSEL4_INLINE seL4_Error sel4_tcb_stop(seL4_TCB thread)
{
    seL4_Word mr[4] = { 0 };

    return sel4_invoke(thread, BEAML4_TCBStop, 0, 0, mr);
}

LIBSEL4_INLINE seL4_Error sel4_vspace_open_high_half(seL4_X64_PML4 vspace)
{
    seL4_Word mr[4] = { 0 };

    return sel4_invoke(vspace, BEAML4_VSpaceOpenHighHalf, 0, 0, mr);
}

/* Maps COUNT pages, up to BEAML4_MAP_FRAMES_MAX, with BEAML4_MAP_WORDS words for each. On an error *DONE is how many
 * have been. */
LIBSEL4_INLINE seL4_Error sel4_vspace_map_frames(seL4_X64_PML4 vspace, seL4_Word count, const seL4_Word *words,
                                                 seL4_Word *done)
{
    seL4_Word mr[4];

    sel4_fill_message(mr, count * BEAML4_MAP_WORDS, words);
    seL4_Error error = sel4_invoke(vspace, BEAML4_VSpaceMapFrames, 0, count * BEAML4_MAP_WORDS, mr);
    *done = error == seL4_NoError ? count : mr[0];
    return error;
}

/* Deletes the capabilities to frames in COUNT slots, up to BEAML4_UNMAP_FRAMES_MAX; slots may be empty. */
LIBSEL4_INLINE seL4_Error sel4_vspace_unmap_frames(seL4_X64_PML4 vspace, seL4_Word count, const seL4_Word *slots)
{
    seL4_Word mr[4];

    sel4_fill_message(mr, count, slots);
    return sel4_invoke(vspace, BEAML4_VSpaceUnmapFrames, 0, count, mr);
}
#endif
