/* Into a guest and out of it. */
#include <arch/x86_64/layout.h>

    .text

/* void vmx_enter(uint64_t *registers, bool launched): registers in the order of seL4_VCPUContext. The kernel's stack
 * pointer stays, so that a refused entry, which changes no register, finds everything in place (SDM 3C 27.1, 31.2). */
    .balign 16
    .globl vmx_enter
vmx_enter:
    testb %sil, %sil
    movq (%rdi), %rax
    movq 8(%rdi), %rbx
    movq 16(%rdi), %rcx
    movq 24(%rdi), %rdx
    movq 32(%rdi), %rsi
    movq 48(%rdi), %rbp
    movq 56(%rdi), %r8
    movq 64(%rdi), %r9
    movq 72(%rdi), %r10
    movq 80(%rdi), %r11
    movq 88(%rdi), %r12
    movq 96(%rdi), %r13
    movq 104(%rdi), %r14
    movq 112(%rdi), %r15
    movq 40(%rdi), %rdi
    jz 1f
    vmresume
    jmp 2f
1:  vmlaunch
2:  movq %gs:CPU_STACK_TOP, %rsp
    xorl %ebp, %ebp
    call trap_vm_entry_failed

/* The processor comes here with the stack pointer at the end of the guest's registers, interrupts off and GS the
 * kernel's. */
    .balign 16
    .globl vmx_exit
vmx_exit:
    pushq %r15
    pushq %r14
    pushq %r13
    pushq %r12
    pushq %r11
    pushq %r10
    pushq %r9
    pushq %r8
    pushq %rbp
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rbx
    pushq %rax
    movq %gs:CPU_STACK_TOP, %rsp
    xorl %ebp, %ebp
    call trap_vm_exit
