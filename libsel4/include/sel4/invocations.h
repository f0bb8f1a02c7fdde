/* Invocations of kernel objects, with the names and message layouts of seL4's reference manual. Each returns an
 * seL4_Error; what the kernel adds to an error is then in the message registers. A message of up to four words goes
 * in registers; capabilities go through the IPC buffer.
 */
#pragma once

#include <sel4/syscalls.h>

/* Calls SERVICE with LENGTH words, of which the first four are in MR, and leaves the answer's first four there. */
__attribute__((always_inline)) LIBSEL4_INLINE seL4_Error sel4_invoke(seL4_CPtr service, seL4_Word label,
                                                                     seL4_Word extra_caps, seL4_Word length,
                                                                     seL4_Word mr[static 4])
{
    struct sel4_registers io = {
        .dest = service,
        .info = seL4_MessageInfo_new(label, 0, extra_caps, length).words[0],
        .mr = { mr[0], mr[1], mr[2], mr[3] },
    };

    sel4_syscall(seL4_SysCall, &io);
    seL4_Error error = (seL4_Error)seL4_MessageInfo_get_label((seL4_MessageInfo_t) { { io.info } });
    for (int i = 0; i < 4; i++)
        mr[i] = io.mr[i];
    if (error != seL4_NoError)
        for (int i = 0; i < 4; i++)
            seL4_SetMR(i, io.mr[i]);
    return error;
}

/* The words of a message of at most four; the others are zero. */
#define SEL4_WORDS(...) ((seL4_Word[4]) { __VA_ARGS__ })

#include <sel4/invocations_x86.h>

/* Untyped memory */

LIBSEL4_INLINE seL4_Error seL4_Untyped_Retype(seL4_Untyped service, seL4_Word type, seL4_Word size_bits,
                                              seL4_CNode root, seL4_Word node_index, seL4_Word node_depth,
                                              seL4_Word node_offset, seL4_Word num_objects)
{
    seL4_SetCap(0, root);
    seL4_SetMR(4, node_offset);
    seL4_SetMR(5, num_objects);
    return sel4_invoke(service, UntypedRetype, 1, 6, SEL4_WORDS(type, size_bits, node_index, node_depth));
}

/* CNodes */

LIBSEL4_INLINE seL4_Error seL4_CNode_Revoke(seL4_CNode service, seL4_Word index, seL4_Uint8 depth)
{
    return sel4_invoke(service, CNodeRevoke, 0, 2, SEL4_WORDS(index, depth));
}

LIBSEL4_INLINE seL4_Error seL4_CNode_Delete(seL4_CNode service, seL4_Word index, seL4_Uint8 depth)
{
    return sel4_invoke(service, CNodeDelete, 0, 2, SEL4_WORDS(index, depth));
}

LIBSEL4_INLINE seL4_Error seL4_CNode_CancelBadgedSends(seL4_CNode service, seL4_Word index, seL4_Uint8 depth)
{
    return sel4_invoke(service, CNodeCancelBadgedSends, 0, 2, SEL4_WORDS(index, depth));
}

LIBSEL4_INLINE seL4_Error seL4_CNode_SaveCaller(seL4_CNode service, seL4_Word index, seL4_Uint8 depth)
{
    return sel4_invoke(service, CNodeSaveCaller, 0, 2, SEL4_WORDS(index, depth));
}

LIBSEL4_INLINE seL4_Error seL4_CNode_Copy(seL4_CNode service, seL4_Word dest_index, seL4_Uint8 dest_depth,
                                          seL4_CNode src_root, seL4_Word src_index, seL4_Uint8 src_depth,
                                          seL4_CapRights_t rights)
{
    seL4_SetCap(0, src_root);
    seL4_SetMR(4, rights.words[0]);
    return sel4_invoke(service, CNodeCopy, 1, 5, SEL4_WORDS(dest_index, dest_depth, src_index, src_depth));
}

LIBSEL4_INLINE seL4_Error seL4_CNode_Mint(seL4_CNode service, seL4_Word dest_index, seL4_Uint8 dest_depth,
                                          seL4_CNode src_root, seL4_Word src_index, seL4_Uint8 src_depth,
                                          seL4_CapRights_t rights, seL4_Word badge)
{
    seL4_SetCap(0, src_root);
    seL4_SetMR(4, rights.words[0]);
    seL4_SetMR(5, badge);
    return sel4_invoke(service, CNodeMint, 1, 6, SEL4_WORDS(dest_index, dest_depth, src_index, src_depth));
}

LIBSEL4_INLINE seL4_Error seL4_CNode_Move(seL4_CNode service, seL4_Word dest_index, seL4_Uint8 dest_depth,
                                          seL4_CNode src_root, seL4_Word src_index, seL4_Uint8 src_depth)
{
    seL4_SetCap(0, src_root);
    return sel4_invoke(service, CNodeMove, 1, 4, SEL4_WORDS(dest_index, dest_depth, src_index, src_depth));
}

LIBSEL4_INLINE seL4_Error seL4_CNode_Mutate(seL4_CNode service, seL4_Word dest_index, seL4_Uint8 dest_depth,
                                            seL4_CNode src_root, seL4_Word src_index, seL4_Uint8 src_depth,
                                            seL4_Word badge)
{
    seL4_SetCap(0, src_root);
    seL4_SetMR(4, badge);
    return sel4_invoke(service, CNodeMutate, 1, 5, SEL4_WORDS(dest_index, dest_depth, src_index, src_depth));
}

LIBSEL4_INLINE seL4_Error seL4_CNode_Rotate(seL4_CNode service, seL4_Word dest_index, seL4_Uint8 dest_depth,
                                            seL4_Word dest_badge, seL4_CNode pivot_root, seL4_Word pivot_index,
                                            seL4_Uint8 pivot_depth, seL4_Word pivot_badge, seL4_CNode src_root,
                                            seL4_Word src_index, seL4_Uint8 src_depth)
{
    seL4_SetCap(0, pivot_root);
    seL4_SetCap(1, src_root);
    seL4_SetMR(4, pivot_depth);
    seL4_SetMR(5, pivot_badge);
    seL4_SetMR(6, src_index);
    seL4_SetMR(7, src_depth);
    return sel4_invoke(service, CNodeRotate, 2, 8, SEL4_WORDS(dest_index, dest_depth, dest_badge, pivot_index));
}

/* Threads */

/* Writes the first COUNT registers of the thread to REGS. */
LIBSEL4_INLINE seL4_Error seL4_TCB_ReadRegisters(seL4_TCB service, seL4_Bool suspend_source, seL4_Uint8 arch_flags,
                                                 seL4_Word count, seL4_UserContext *regs)
{
    seL4_Word mr[4] = { (seL4_Word)(suspend_source & 1) | (seL4_Word)arch_flags << 8, count };
    seL4_Error error = sel4_invoke(service, TCBReadRegisters, 0, 2, mr);
    seL4_Word *word = (seL4_Word *)regs;

    if (error != seL4_NoError)
        return error;
    for (seL4_Word i = 0; i < count && i < sizeof *regs / sizeof *word; i++)
        word[i] = i < 4 ? mr[i] : seL4_GetMR((int)i);
    return seL4_NoError;
}

LIBSEL4_INLINE seL4_Error seL4_TCB_WriteRegisters(seL4_TCB service, seL4_Bool resume_target, seL4_Uint8 arch_flags,
                                                  seL4_Word count, const seL4_UserContext *regs)
{
    const seL4_Word *word = (const seL4_Word *)regs;

    for (seL4_Word i = 2; i < count && i < sizeof *regs / sizeof *word; i++)
        seL4_SetMR((int)i + 2, word[i]);
    return sel4_invoke(service, TCBWriteRegisters, 0, 2 + sizeof *regs / sizeof *word,
                       SEL4_WORDS((seL4_Word)(resume_target & 1) | (seL4_Word)arch_flags << 8, count, word[0], word[1]));
}

LIBSEL4_INLINE seL4_Error seL4_TCB_CopyRegisters(seL4_TCB service, seL4_TCB source, seL4_Bool suspend_source,
                                                 seL4_Bool resume_target, seL4_Bool transfer_frame,
                                                 seL4_Bool transfer_integer, seL4_Uint8 arch_flags)
{
    seL4_Word flags = (seL4_Word)(suspend_source & 1) | (seL4_Word)(resume_target & 1) << 1 |
                      (seL4_Word)(transfer_frame & 1) << 2 | (seL4_Word)(transfer_integer & 1) << 3 |
                      (seL4_Word)arch_flags << 8;

    seL4_SetCap(0, source);
    return sel4_invoke(service, TCBCopyRegisters, 1, 1, SEL4_WORDS(flags));
}

LIBSEL4_INLINE seL4_Error seL4_TCB_Configure(seL4_TCB service, seL4_Word fault_ep, seL4_CNode cspace_root,
                                             seL4_Word cspace_root_data, seL4_CPtr vspace_root,
                                             seL4_Word vspace_root_data, seL4_Word buffer, seL4_CPtr buffer_frame)
{
    seL4_SetCap(0, cspace_root);
    seL4_SetCap(1, vspace_root);
    seL4_SetCap(2, buffer_frame);
    return sel4_invoke(service, TCBConfigure, 3, 4, SEL4_WORDS(fault_ep, cspace_root_data, vspace_root_data, buffer));
}

LIBSEL4_INLINE seL4_Error seL4_TCB_SetPriority(seL4_TCB service, seL4_TCB authority, seL4_Word priority)
{
    seL4_SetCap(0, authority);
    return sel4_invoke(service, TCBSetPriority, 1, 1, SEL4_WORDS(priority));
}

LIBSEL4_INLINE seL4_Error seL4_TCB_SetMCPriority(seL4_TCB service, seL4_TCB authority, seL4_Word mcp)
{
    seL4_SetCap(0, authority);
    return sel4_invoke(service, TCBSetMCPriority, 1, 1, SEL4_WORDS(mcp));
}

LIBSEL4_INLINE seL4_Error seL4_TCB_SetSchedParams(seL4_TCB service, seL4_TCB authority, seL4_Word mcp,
                                                  seL4_Word priority)
{
    seL4_SetCap(0, authority);
    return sel4_invoke(service, TCBSetSchedParams, 1, 2, SEL4_WORDS(mcp, priority));
}

LIBSEL4_INLINE seL4_Error seL4_TCB_SetIPCBuffer(seL4_TCB service, seL4_Word buffer, seL4_CPtr buffer_frame)
{
    seL4_SetCap(0, buffer_frame);
    return sel4_invoke(service, TCBSetIPCBuffer, 1, 1, SEL4_WORDS(buffer));
}

LIBSEL4_INLINE seL4_Error seL4_TCB_SetSpace(seL4_TCB service, seL4_Word fault_ep, seL4_CNode cspace_root,
                                            seL4_Word cspace_root_data, seL4_CPtr vspace_root,
                                            seL4_Word vspace_root_data)
{
    seL4_SetCap(0, cspace_root);
    seL4_SetCap(1, vspace_root);
    return sel4_invoke(service, TCBSetSpace, 2, 3, SEL4_WORDS(fault_ep, cspace_root_data, vspace_root_data));
}

LIBSEL4_INLINE seL4_Error seL4_TCB_Suspend(seL4_TCB service)
{
    return sel4_invoke(service, TCBSuspend, 0, 0, SEL4_WORDS(0));
}

LIBSEL4_INLINE seL4_Error seL4_TCB_Resume(seL4_TCB service)
{
    return sel4_invoke(service, TCBResume, 0, 0, SEL4_WORDS(0));
}

LIBSEL4_INLINE seL4_Error seL4_TCB_BindNotification(seL4_TCB service, seL4_CPtr notification)
{
    seL4_SetCap(0, notification);
    return sel4_invoke(service, TCBBindNotification, 1, 0, SEL4_WORDS(0));
}

LIBSEL4_INLINE seL4_Error seL4_TCB_UnbindNotification(seL4_TCB service)
{
    return sel4_invoke(service, TCBUnbindNotification, 0, 0, SEL4_WORDS(0));
}

LIBSEL4_INLINE seL4_Error seL4_TCB_SetAffinity(seL4_TCB service, seL4_Word affinity)
{
    return sel4_invoke(service, TCBSetAffinity, 0, 1, SEL4_WORDS(affinity));
}

LIBSEL4_INLINE seL4_Error seL4_TCB_SetTLSBase(seL4_TCB service, seL4_Word tls_base)
{
    return sel4_invoke(service, TCBSetTLSBase, 0, 1, SEL4_WORDS(tls_base));
}

typedef struct seL4_TCB_SetFlags {
    int error;
    seL4_Word flags; /* as they are now */
} seL4_TCB_SetFlags_t;

LIBSEL4_INLINE seL4_TCB_SetFlags_t seL4_TCB_SetFlags(seL4_TCB service, seL4_Word clear, seL4_Word set)
{
    seL4_Word mr[4] = { clear, set };
    seL4_Error error = sel4_invoke(service, TCBSetFlags, 0, 2, mr);
    return (seL4_TCB_SetFlags_t) { .error = (int)error, .flags = mr[0] };
}

/* Interrupts */

LIBSEL4_INLINE seL4_Error seL4_IRQControl_Get(seL4_IRQControl service, seL4_Word irq, seL4_CNode root,
                                              seL4_Word index, seL4_Uint8 depth)
{
    seL4_SetCap(0, root);
    return sel4_invoke(service, IRQIssueIRQHandler, 1, 3, SEL4_WORDS(irq, index, depth));
}

LIBSEL4_INLINE seL4_Error seL4_IRQControl_GetIOAPIC(seL4_IRQControl service, seL4_CNode root, seL4_Word index,
                                                    seL4_Uint8 depth, seL4_Word ioapic, seL4_Word pin, seL4_Word level,
                                                    seL4_Word polarity, seL4_Word vector)
{
    seL4_SetCap(0, root);
    seL4_SetMR(4, level);
    seL4_SetMR(5, polarity);
    seL4_SetMR(6, vector);
    return sel4_invoke(service, X86IRQIssueIRQHandlerIOAPIC, 1, 7, SEL4_WORDS(index, depth, ioapic, pin));
}

LIBSEL4_INLINE seL4_Error seL4_IRQControl_GetMSI(seL4_IRQControl service, seL4_CNode root, seL4_Word index,
                                                 seL4_Uint8 depth, seL4_Word pci_bus, seL4_Word pci_dev,
                                                 seL4_Word pci_func, seL4_Word handle, seL4_Word vector)
{
    seL4_SetCap(0, root);
    seL4_SetMR(4, pci_func);
    seL4_SetMR(5, handle);
    seL4_SetMR(6, vector);
    return sel4_invoke(service, X86IRQIssueIRQHandlerMSI, 1, 7, SEL4_WORDS(index, depth, pci_bus, pci_dev));
}

LIBSEL4_INLINE seL4_Error seL4_IRQHandler_Ack(seL4_IRQHandler service)
{
    return sel4_invoke(service, IRQAckIRQ, 0, 0, SEL4_WORDS(0));
}

LIBSEL4_INLINE seL4_Error seL4_IRQHandler_SetNotification(seL4_IRQHandler service, seL4_CPtr notification)
{
    seL4_SetCap(0, notification);
    return sel4_invoke(service, IRQSetIRQHandler, 1, 0, SEL4_WORDS(0));
}

LIBSEL4_INLINE seL4_Error seL4_IRQHandler_Clear(seL4_IRQHandler service)
{
    return sel4_invoke(service, IRQClearIRQHandler, 0, 0, SEL4_WORDS(0));
}

/* Domains */

LIBSEL4_INLINE seL4_Error seL4_DomainSet_Set(seL4_DomainSet service, seL4_Uint8 domain, seL4_TCB thread)
{
    seL4_SetCap(0, thread);
    return sel4_invoke(service, DomainSetSet, 1, 1, SEL4_WORDS(domain));
}

LIBSEL4_INLINE seL4_Error seL4_DomainSet_ScheduleConfigure(seL4_DomainSet service, seL4_Word index, seL4_Uint8 domain,
                                                           seL4_Time duration)
{
    return sel4_invoke(service, DomainScheduleConfigure, 0, 3, SEL4_WORDS(index, domain, duration));
}

LIBSEL4_INLINE seL4_Error seL4_DomainSet_ScheduleSetStart(seL4_DomainSet service, seL4_Word index)
{
    return sel4_invoke(service, DomainScheduleSetStart, 0, 1, SEL4_WORDS(index));
}
