/* Into a guest by VMRUN and out of it (APM 2 15.5, 15.6). */
#include <arch/x86_64/layout.h>

    .text

/* void svm_save_host(uint64_t host): FS, GS, TR, LDTR and system call registers as they are now. */
    .balign 16
    .globl svm_save_host
svm_save_host:
    movq %rdi, %rax
    vmsave %rax
    ret

/* void svm_enter(uint64_t *registers, uint64_t guest, uint64_t host): registers in the order of seL4_VCPUContext, of which
 * rax is in the guest's VMCB. From CLGI to STGI nothing interrupts; but physical interrupts end the guest's run only
 * where RFLAGS.IF was set when it began (APM 2 15.21.1). QEMU's TCG would take STI's shadow along into the guest: VMLOAD
 * uses it up. */
    .balign 16
    .globl svm_enter
svm_enter:
    pushq %rdx
    pushq %rdi
    movq %rsi, %rax
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
    clgi
    sti
    vmload %rax
    vmrun %rax
    cli

    /* rsp and rax are the kernel's again; FS, GS, TR and LDTR are still the guest's. */
    vmsave %rax
    movq (%rsp), %rax
    movq %rbx, 8(%rax)
    movq %rcx, 16(%rax)
    movq %rdx, 24(%rax)
    movq %rsi, 32(%rax)
    movq %rdi, 40(%rax)
    movq %rbp, 48(%rax)
    movq %r8, 56(%rax)
    movq %r9, 64(%rax)
    movq %r10, 72(%rax)
    movq %r11, 80(%rax)
    movq %r12, 88(%rax)
    movq %r13, 96(%rax)
    movq %r14, 104(%rax)
    movq %r15, 112(%rax)
    movq 8(%rsp), %rax
    vmload %rax
    stgi
    movq %gs:CPU_STACK_TOP, %rsp
    xorl %ebp, %ebp
    call trap_svm_exit
