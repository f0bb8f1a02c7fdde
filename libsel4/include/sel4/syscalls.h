/* The system calls of seL4, with the names and meanings of its reference manual.
 *
 * Convention: rdx holds the number (negative), rdi a capability pointer, rsi the message tag, r10 r8 r9 r15 the first
 * four message registers, the rest is in the IPC buffer. On return rdi holds the badge, rsi the tag of what came in.
 * The processor's `syscall` takes rcx and r11; upstream's kernel also loses rsp, so that rbx carries it across.
 */
#pragma once

#include <sel4/types.h>

/* This thread's IPC buffer; the runtime sets it up. */
extern __thread seL4_IPCBuffer *__sel4_ipc_buffer;

LIBSEL4_INLINE seL4_IPCBuffer *seL4_GetIPCBuffer(void)
{
    return __sel4_ipc_buffer;
}

LIBSEL4_INLINE void seL4_SetIPCBuffer(seL4_IPCBuffer *buffer)
{
    __sel4_ipc_buffer = buffer;
}

LIBSEL4_INLINE seL4_Word seL4_GetMR(int index)
{
    return seL4_GetIPCBuffer()->msg[index];
}

LIBSEL4_INLINE void seL4_SetMR(int index, seL4_Word value)
{
    seL4_GetIPCBuffer()->msg[index] = value;
}

LIBSEL4_INLINE seL4_Word seL4_GetUserData(void)
{
    return seL4_GetIPCBuffer()->userData;
}

LIBSEL4_INLINE void seL4_SetUserData(seL4_Word value)
{
    seL4_GetIPCBuffer()->userData = value;
}

/* Badge of the INDEX-th capability that came unwrapped with the last message. */
LIBSEL4_INLINE seL4_Word seL4_GetBadge(int index)
{
    return seL4_GetIPCBuffer()->caps_or_badges[index];
}

LIBSEL4_INLINE seL4_CPtr seL4_GetCap(int index)
{
    return seL4_GetIPCBuffer()->caps_or_badges[index];
}

LIBSEL4_INLINE void seL4_SetCap(int index, seL4_CPtr cap)
{
    seL4_GetIPCBuffer()->caps_or_badges[index] = cap;
}

LIBSEL4_INLINE void seL4_GetCapReceivePath(seL4_CPtr *cnode, seL4_CPtr *index, seL4_Word *depth)
{
    const seL4_IPCBuffer *buffer = seL4_GetIPCBuffer();
    if (cnode)
        *cnode = buffer->receiveCNode;
    if (index)
        *index = buffer->receiveIndex;
    if (depth)
        *depth = buffer->receiveDepth;
}

/* Names the slot that takes a capability out of the next messages. */
LIBSEL4_INLINE void seL4_SetCapReceivePath(seL4_CPtr cnode, seL4_CPtr index, seL4_Word depth)
{
    seL4_IPCBuffer *buffer = seL4_GetIPCBuffer();
    buffer->receiveCNode = cnode;
    buffer->receiveIndex = index;
    buffer->receiveDepth = depth;
}

/* What goes into the kernel and comes out of it in registers. */
struct sel4_registers {
    seL4_Word dest; /* capability pointer in, badge out */
    seL4_Word info;
    seL4_Word mr[4];
};

__attribute__((always_inline)) LIBSEL4_INLINE void sel4_syscall(long number, struct sel4_registers *io)
{
    register seL4_Word mr0 __asm__("r10") = io->mr[0];
    register seL4_Word mr1 __asm__("r8") = io->mr[1];
    register seL4_Word mr2 __asm__("r9") = io->mr[2];
    register seL4_Word mr3 __asm__("r15") = io->mr[3];

    __asm__ volatile("movq %%rsp, %%rbx\n\t"
                     "syscall\n\t"
                     "movq %%rbx, %%rsp"
                     : "+D"(io->dest), "+S"(io->info), "+r"(mr0), "+r"(mr1), "+r"(mr2), "+r"(mr3)
                     : "d"(number)
                     : "rbx", "rcx", "r11", "memory");
    io->mr[0] = mr0;
    io->mr[1] = mr1;
    io->mr[2] = mr2;
    io->mr[3] = mr3;
}

/* With the message registers of the IPC buffer: reads them before, writes them after as the system call asks. */
__attribute__((always_inline)) LIBSEL4_INLINE struct sel4_registers
sel4_syscall_buffered(long number, seL4_CPtr dest, seL4_Word info, int sends, int receives)
{
    struct sel4_registers io = { .dest = dest, .info = info };

    if (sends)
        for (int i = 0; i < 4; i++)
            io.mr[i] = seL4_GetMR(i);
    sel4_syscall(number, &io);
    if (receives)
        for (int i = 0; i < 4; i++)
            seL4_SetMR(i, io.mr[i]);
    return io;
}

/* With message registers that the caller names one by one; NULL stands for a word of no interest. */
__attribute__((always_inline)) LIBSEL4_INLINE struct sel4_registers
sel4_syscall_words(long number, seL4_CPtr dest, seL4_Word info, seL4_Word *mr0, seL4_Word *mr1, seL4_Word *mr2,
                   seL4_Word *mr3, int sends, int receives)
{
    struct sel4_registers io = { .dest = dest, .info = info };

    if (sends) {
        io.mr[0] = mr0 ? *mr0 : 0;
        io.mr[1] = mr1 ? *mr1 : 0;
        io.mr[2] = mr2 ? *mr2 : 0;
        io.mr[3] = mr3 ? *mr3 : 0;
    }
    sel4_syscall(number, &io);
    if (receives) {
        if (mr0)
            *mr0 = io.mr[0];
        if (mr1)
            *mr1 = io.mr[1];
        if (mr2)
            *mr2 = io.mr[2];
        if (mr3)
            *mr3 = io.mr[3];
    }
    return io;
}

LIBSEL4_INLINE seL4_MessageInfo_t sel4_received(const struct sel4_registers *io, seL4_Word *sender)
{
    if (sender)
        *sender = io->dest;
    return (seL4_MessageInfo_t) { { io->info } };
}

LIBSEL4_INLINE void seL4_Send(seL4_CPtr dest, seL4_MessageInfo_t info)
{
    sel4_syscall_buffered(seL4_SysSend, dest, info.words[0], 1, 0);
}

LIBSEL4_INLINE void seL4_SendWithMRs(seL4_CPtr dest, seL4_MessageInfo_t info, seL4_Word *mr0, seL4_Word *mr1,
                                     seL4_Word *mr2, seL4_Word *mr3)
{
    sel4_syscall_words(seL4_SysSend, dest, info.words[0], mr0, mr1, mr2, mr3, 1, 0);
}

LIBSEL4_INLINE void seL4_NBSend(seL4_CPtr dest, seL4_MessageInfo_t info)
{
    sel4_syscall_buffered(seL4_SysNBSend, dest, info.words[0], 1, 0);
}

LIBSEL4_INLINE void seL4_NBSendWithMRs(seL4_CPtr dest, seL4_MessageInfo_t info, seL4_Word *mr0, seL4_Word *mr1,
                                       seL4_Word *mr2, seL4_Word *mr3)
{
    sel4_syscall_words(seL4_SysNBSend, dest, info.words[0], mr0, mr1, mr2, mr3, 1, 0);
}

LIBSEL4_INLINE void seL4_Reply(seL4_MessageInfo_t info)
{
    sel4_syscall_buffered(seL4_SysReply, 0, info.words[0], 1, 0);
}

LIBSEL4_INLINE void seL4_ReplyWithMRs(seL4_MessageInfo_t info, seL4_Word *mr0, seL4_Word *mr1, seL4_Word *mr2,
                                      seL4_Word *mr3)
{
    sel4_syscall_words(seL4_SysReply, 0, info.words[0], mr0, mr1, mr2, mr3, 1, 0);
}

LIBSEL4_INLINE void seL4_Signal(seL4_CPtr dest)
{
    sel4_syscall_buffered(seL4_SysSend, dest, 0, 0, 0);
}

LIBSEL4_INLINE seL4_MessageInfo_t seL4_Recv(seL4_CPtr src, seL4_Word *sender)
{
    struct sel4_registers io = sel4_syscall_buffered(seL4_SysRecv, src, 0, 0, 1);
    return sel4_received(&io, sender);
}

LIBSEL4_INLINE seL4_MessageInfo_t seL4_RecvWithMRs(seL4_CPtr src, seL4_Word *sender, seL4_Word *mr0, seL4_Word *mr1,
                                                   seL4_Word *mr2, seL4_Word *mr3)
{
    struct sel4_registers io = sel4_syscall_words(seL4_SysRecv, src, 0, mr0, mr1, mr2, mr3, 0, 1);
    return sel4_received(&io, sender);
}

LIBSEL4_INLINE seL4_MessageInfo_t seL4_NBRecv(seL4_CPtr src, seL4_Word *sender)
{
    struct sel4_registers io = sel4_syscall_buffered(seL4_SysNBRecv, src, 0, 0, 1);
    return sel4_received(&io, sender);
}

/* seL4_Recv for a notification: the badge is all that comes. */
LIBSEL4_INLINE void seL4_Wait(seL4_CPtr src, seL4_Word *sender)
{
    seL4_Recv(src, sender);
}

LIBSEL4_INLINE seL4_MessageInfo_t seL4_Poll(seL4_CPtr src, seL4_Word *sender)
{
    return seL4_NBRecv(src, sender);
}

LIBSEL4_INLINE seL4_MessageInfo_t seL4_Call(seL4_CPtr dest, seL4_MessageInfo_t info)
{
    struct sel4_registers io = sel4_syscall_buffered(seL4_SysCall, dest, info.words[0], 1, 1);
    return sel4_received(&io, (seL4_Word *)0);
}

LIBSEL4_INLINE seL4_MessageInfo_t seL4_CallWithMRs(seL4_CPtr dest, seL4_MessageInfo_t info, seL4_Word *mr0,
                                                   seL4_Word *mr1, seL4_Word *mr2, seL4_Word *mr3)
{
    struct sel4_registers io = sel4_syscall_words(seL4_SysCall, dest, info.words[0], mr0, mr1, mr2, mr3, 1, 1);
    return sel4_received(&io, (seL4_Word *)0);
}

LIBSEL4_INLINE seL4_MessageInfo_t seL4_ReplyRecv(seL4_CPtr src, seL4_MessageInfo_t info, seL4_Word *sender)
{
    struct sel4_registers io = sel4_syscall_buffered(seL4_SysReplyRecv, src, info.words[0], 1, 1);
    return sel4_received(&io, sender);
}

LIBSEL4_INLINE seL4_MessageInfo_t seL4_ReplyRecvWithMRs(seL4_CPtr src, seL4_MessageInfo_t info, seL4_Word *sender,
                                                        seL4_Word *mr0, seL4_Word *mr1, seL4_Word *mr2, seL4_Word *mr3)
{
    struct sel4_registers io = sel4_syscall_words(seL4_SysReplyRecv, src, info.words[0], mr0, mr1, mr2, mr3, 1, 1);
    return sel4_received(&io, sender);
}

LIBSEL4_INLINE void seL4_Yield(void)
{
    sel4_syscall_buffered(seL4_SysYield, 0, 0, 0, 0);
}

/* Runs the guest of the VCPU that is bound to this thread, with the message registers SEL4_VMENTER_CALL_*; returns
 * SEL4_VMENTER_RESULT_FAULT with all SEL4_VMENTER_* registers filled, or SEL4_VMENTER_RESULT_NOTIF with the first
 * three and the badge in SENDER. */
LIBSEL4_INLINE seL4_Word seL4_VMEnter(seL4_Word *sender)
{
    struct sel4_registers io = sel4_syscall_buffered(seL4_SysVMEnter, 0, 0, 1, 1);
    if (io.info == SEL4_VMENTER_RESULT_NOTIF && sender)
        *sender = io.dest;
    return io.info;
}

LIBSEL4_INLINE void seL4_DebugPutChar(char c)
{
    sel4_syscall_buffered(seL4_SysDebugPutChar, (seL4_Word)c, 0, 0, 0);
}

LIBSEL4_INLINE void seL4_DebugPutString(const char *string)
{
    while (*string)
        seL4_DebugPutChar(*string++);
}

LIBSEL4_INLINE void seL4_DebugDumpScheduler(void)
{
    sel4_syscall_buffered(seL4_SysDebugDumpScheduler, 0, 0, 0, 0);
}

LIBSEL4_INLINE void seL4_DebugHalt(void)
{
    sel4_syscall_buffered(seL4_SysDebugHalt, 0, 0, 0, 0);
}

LIBSEL4_INLINE void seL4_DebugSnapshot(void)
{
    sel4_syscall_buffered(seL4_SysDebugSnapshot, 0, 0, 0, 0);
}

/* A number for the type of capability in a slot; 0 for an empty one. */
LIBSEL4_INLINE seL4_Uint32 seL4_DebugCapIdentify(seL4_CPtr cap)
{
    return (seL4_Uint32)sel4_syscall_buffered(seL4_SysDebugCapIdentify, cap, 0, 0, 0).dest;
}

/* Names a thread for the kernel's own messages; overwrites message registers. */
LIBSEL4_INLINE void seL4_DebugNameThread(seL4_CPtr tcb, const char *name)
{
    char *text = (char *)seL4_GetIPCBuffer()->msg;
    unsigned length = 0;

    while (name[length] && length < sizeof(seL4_GetIPCBuffer()->msg) - 1) {
        text[length] = name[length];
        length++;
    }
    text[length] = '\0';
    sel4_syscall_buffered(seL4_SysDebugNameThread, tcb, 0, 0, 0);
}

LIBSEL4_INLINE seL4_Word seL4_DebugGetThreadAffinity(seL4_CPtr tcb)
{
    return sel4_syscall_buffered(seL4_SysDebugGetThreadAffinity, tcb, 0, 0, 0).dest;
}
