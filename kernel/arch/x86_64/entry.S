/* Every way into the kernel from ring 3 or by an exception, and the two ways back. */
#include <arch/x86_64/layout.h>

/* Registers below the words that the processor and the stubs push, in the order of struct context. */
.macro PUSH_REGISTERS
    pushq %rcx
    pushq %r11
    pushq %r15
    pushq %r9
    pushq %r8
    pushq %r10
    pushq %rdx
    pushq %r14
    pushq %r13
    pushq %r12
    pushq %rbp
    pushq %rbx
    pushq %rax
    pushq %rsi
    pushq %rdi
.endm

/* All but rcx and r11: 13 words. */
.macro POP_REGISTERS_PRESERVED
    popq %rdi
    popq %rsi
    popq %rax
    popq %rbx
    popq %rbp
    popq %r12
    popq %r13
    popq %r14
    popq %rdx
    popq %r10
    popq %r8
    popq %r9
    popq %r15
.endm

.macro POP_REGISTERS
    POP_REGISTERS_PRESERVED
    popq %r11
    popq %rcx
.endm

    .text

/* One stub of 16 bytes a vector. Exceptions with an error code: SDM 3A table 6-1. */
    .balign 16
    .globl vector_stubs
vector_stubs:
    vector = 0
    .rept VECTOR_COUNT
    .balign 16
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30
    .else
    pushq $0
    .endif
    pushq $vector
    .if vector == 1
    jmp entry_debug
    .elseif vector == 2 || vector == 8 || vector == 18
    jmp entry_own_stack
    .else
    jmp entry_vector
    .endif
    vector = vector + 1
    .endr

/* From ring 3 the stack is the current thread's struct context, by way of TSS.rsp0; from ring 0 the kernel's stack. */
    .balign 16
entry_vector:
    testb $3, 24(%rsp)
    jz 1f
    swapgs
entry_from_user:
    PUSH_REGISTERS
    movq %rsp, %rdi
    movq %gs:CPU_STACK_TOP, %rsp
    .globl entry_clac
entry_clac: /* a CLAC where the CPU has SMAP */
    .byte 0x0f, 0x1f, 0x00
    cld
    xorl %ebp, %ebp
    call trap_from_user
1:  PUSH_REGISTERS
    movq %rsp, %rdi
    cld
    call trap_from_kernel
    POP_REGISTERS
    addq $16, %rsp
    iretq

/* NMI, double fault, machine check, debug exceptions of ring 0: on a stack of their own, GS may be either's. */
    .balign 16
entry_own_stack:
    PUSH_REGISTERS
    movq %rsp, %rdi
    cld
    call trap_on_own_stack
    POP_REGISTERS
    addq $16, %rsp
    iretq

/* Single-stepped SYSCALL: some (emulated) processors trap behind it, in ring 0 and on whatever stack the user had. So
 * this exception has a stack of its own, and goes on as any other where it came from ring 3. */
    .balign 16
entry_debug:
    testb $3, 24(%rsp)
    jz entry_own_stack
    swapgs
    movq %rax, %gs:CPU_USER_RSP
    movq %rsp, %rax
    movq %gs:CPU_CONTEXT_END, %rsp
    pushq 48(%rax)
    pushq 40(%rax)
    pushq 32(%rax)
    pushq 24(%rax)
    pushq 16(%rax)
    pushq 8(%rax)
    pushq (%rax)
    movq %gs:CPU_USER_RSP, %rax
    jmp entry_from_user

/* SYSCALL: rcx is the user's rip, r11 its rflags, the stack still the user's. Leaves the registers of the call
 * (rdi, rsi, rdx) as the arguments of trap_syscall. */
    .balign 16
    .globl entry_syscall
entry_syscall:
    swapgs
    movq %rsp, %gs:CPU_USER_RSP
    movq %gs:CPU_CONTEXT_END, %rsp
    pushq $SELECTOR_USER_DATA
    pushq %gs:CPU_USER_RSP
    pushq %r11
    pushq $SELECTOR_USER_CODE
    pushq %rcx
    pushq $0
    pushq $ENTRY_SYSCALL
    PUSH_REGISTERS
    movq %gs:CPU_STACK_TOP, %rsp
    xorl %ebp, %ebp
    call trap_syscall

/* void context_resume_sysret(struct context *): rcx and r11 of the thread are lost; rip must be canonical. */
    .balign 16
    .globl context_resume_sysret
context_resume_sysret:
    movq %rdi, %rsp
    swapgs
    POP_REGISTERS_PRESERVED
    movq CONTEXT_RFLAGS - 13 * 8(%rsp), %r11
    movq CONTEXT_RIP - 13 * 8(%rsp), %rcx
    movq CONTEXT_RSP - 13 * 8(%rsp), %rsp
    sysretq

/* void context_resume_iret(struct context *): all registers are loaded. */
    .balign 16
    .globl context_resume_iret
context_resume_iret:
    movq %rdi, %rsp
    swapgs
    POP_REGISTERS
    addq $16, %rsp
    iretq

/* void cpu_idle_loop(void): waits for interrupts on an empty kernel stack; the next trap never comes back here. */
    .balign 16
    .globl cpu_idle_loop
cpu_idle_loop:
    movq %gs:CPU_STACK_TOP, %rsp
    xorl %ebp, %ebp
1:  sti
    hlt
    jmp 1b

/* bool rdmsr_checked(uint32_t msr, uint64_t *value): false where RDMSR faults (trap_from_kernel knows the place). */
    .balign 16
    .globl rdmsr_checked, rdmsr_checked_fault
rdmsr_checked:
    movl %edi, %ecx
    .globl rdmsr_checked_instruction
rdmsr_checked_instruction:
    rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    movq %rax, (%rsi)
    movl $1, %eax
    ret
rdmsr_checked_fault:
    xorl %eax, %eax
    ret

/* void cpu_load_segments(const void *gdt_pointer, const void *idt_pointer): leaves FS and GS null. */
    .balign 16
    .globl cpu_load_segments
cpu_load_segments:
    lgdt (%rdi)
    lidt (%rsi)
    movl $SELECTOR_KERNEL_DATA, %eax
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    lldt %ax
    movl $SELECTOR_TSS, %eax
    ltr %ax
    popq %rax
    pushq $SELECTOR_KERNEL_CODE
    pushq %rax
    lretq
