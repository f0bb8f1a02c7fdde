/* Ways into the kernel and back to user programs.
 *
 * A user program runs within enter_user(), which returns when a program's exception, an interrupt, or SYSCALL has
 * brought the processor back. Its registers are then in struct user, because the stack that the processor changes to
 * (TSS.rsp0) ends where the registers of struct user end. GS has the kernel's base in the kernel. */
#include "guests/base/layout.h"
#include "guests/base/registers.inc"
#include "guests/vectors.inc"

    .balign 16
take_vector:
    push_registers
    cld
    testb   $3, FRAME_CS(%rsp)
    jnz     from_user
    movq    %rsp, %rdi
    movq    %rsp, %rbx
    andq    $-16, %rsp
    call    take_trap
    movq    %rbx, %rsp
    pop_registers
    addq    $16, %rsp
    iretq

from_user:
    swapgs
    movq    %gs:CPU_USER, %rdi
    cmpq    %rdi, %rsp
    je      leave_user
    movq    %rsp, %rsi                  /* the vector has a stack of its own (IST) */
    movl    $FRAME_WORDS, %ecx
    rep movsq
leave_user:
    movq    %gs:CPU_STACK, %rsp
    pop_kept
    ret

/* What SYSCALL leads to. */
    .balign 16
    .globl take_syscall
take_syscall:
    swapgs
    movq    %rsp, %gs:CPU_SCRATCH
    movq    %gs:CPU_USER_END, %rsp
    pushq   $SELECTOR_USER_DATA
    pushq   %gs:CPU_SCRATCH
    pushq   %r11
    pushq   $SELECTOR_USER_CODE
    pushq   %rcx
    pushq   $0
    pushq   $VECTOR_SYSCALL
    push_registers
    cld
    jmp     leave_user

    .macro  save_kernel
    push_kept
    movq    %rsp, %gs:CPU_STACK
    movq    %gs:CPU_USER, %rsp
    .endm

/* void enter_user(void), interrupts disabled: runs CPU_USER by IRET. */
    .balign 16
    .globl enter_user
enter_user:
    save_kernel
    pop_registers
    addq    $16, %rsp
    swapgs
    .globl enter_user_iret
enter_user_iret:
    iretq

/* The same by SYSRET: rcx and r11 of the program become its rip and rflags. */
    .balign 16
    .globl enter_user_by_sysret
enter_user_by_sysret:
    save_kernel
    pop_registers
    movq    FRAME_RIP - FRAME_VECTOR(%rsp), %rcx
    movq    FRAME_RFLAGS - FRAME_VECTOR(%rsp), %r11
    movq    FRAME_RSP - FRAME_VECTOR(%rsp), %rsp
    swapgs
    sysretq

    .section .note.GNU-stack, "", @progbits
