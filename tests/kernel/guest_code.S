/* Programs of guests, and what a monitor cannot say in C. They run at GUEST_CODE (0x1000) and are independent of their
 * position but for that. VMCALL reports to the monitor. */
#include "guest_program.inc"

    .section .rodata

    .code64
PROGRAM guest_cpuid
    movabsq $0x1111111111111101, %rax
    movabsq $0x1111111111111102, %rbx
    movabsq $0x1111111111111103, %rcx
    movabsq $0x1111111111111104, %rdx
    movabsq $0x1111111111111105, %rsi
    movabsq $0x1111111111111106, %rdi
    movabsq $0x1111111111111107, %rbp
    movabsq $0x1111111111111108, %r8
    movabsq $0x1111111111111109, %r9
    movabsq $0x111111111111110a, %r10
    movabsq $0x111111111111110b, %r11
    movabsq $0x111111111111110c, %r12
    movabsq $0x111111111111110d, %r13
    movabsq $0x111111111111110e, %r14
    movabsq $0x111111111111110f, %r15
    cpuid
    vmcall
END guest_cpuid

/* CPUID and OUT without end, for benchmarks. */
PROGRAM guest_cpuid_loop
1:  cpuid
    jmp 1b
END guest_cpuid_loop

PROGRAM guest_out_loop
    movl $0x80, %edx
1:  outb %al, %dx
    jmp 1b
END guest_out_loop

    .code16
PROGRAM guest_real
    movb $0x5a, %al
    outb %al, $0x80
    movw $0x3f8, %dx
    inw %dx, %ax
    movw %ax, 0x6000
    hlt
END guest_real

    .code32
PROGRAM guest_protected
    movl $0x12345678, 0x6000
    pushl 0x6000
    popl %eax
    movl $0xcf8, %edx
    outl %eax, %dx
    hlt
END guest_protected

    .code64
/* Counts in memory for ever. With interrupts off Bochs would not end its run when one comes, as processors do. */
PROGRAM guest_count
    sti
1:  incq 0x6000
    jmp 1b
END guest_count

/* Counts once, then stays where it is. */
PROGRAM guest_count_once
    sti
    incq 0x6000
1:  pause
    jmp 1b
END guest_count_once

/* An address behind the guest's memory: read, then written. */
PROGRAM guest_touch
    movq 0x201238, %rax
    movq %rax, 0x202340
    vmcall
END guest_touch

PROGRAM guest_halt
    hlt
    vmcall
END guest_halt

/* The registers that guests have to themselves, then two that they have not. */
PROGRAM guest_msrs
    movl $0xc0000102, %ecx
    movl $0x9abcdef0, %eax
    movl $0x00001234, %edx
    wrmsr
    xorl %eax, %eax
    xorl %edx, %edx
    swapgs
    movl $0xc0000101, %ecx
    rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    vmcall
    movl $0x10, %ecx
    rdmsr
    movl $0xc0000080, %ecx
    wrmsr
    vmcall
END guest_msrs

/* SYSCALL goes to where the monitor set IA32_LSTAR. */
PROGRAM guest_syscall
    syscall
    ud2
    .balign 64
    .globl guest_syscall_target
guest_syscall_target:
    vmcall
END guest_syscall

/* Keeps a number in every register that entries and exits do not switch by themselves, and looks whether it stays. Its
 * number is in r8; it reports 0, or which one was not its own. Bit 62 … 47 of the number must be 0. */
PROGRAM guest_keep
    movl $0xc0000102, %ecx
    movl %r8d, %eax
    movl $0x1111, %edx
    wrmsr
    movq %r8, %cr2
    movq %r8, %db0
    movq %r8, %db3
    movq %r8, %xmm0
    movq %r8, %xmm15
1:  xorl %eax, %eax
    vmcall
    movq %cr2, %rax
    cmpq %rax, %r8
    movl $1, %eax
    jne 2f
    movq %db0, %rax
    cmpq %rax, %r8
    movl $2, %eax
    jne 2f
    movq %db3, %rax
    cmpq %rax, %r8
    movl $3, %eax
    jne 2f
    movq %xmm0, %rax
    cmpq %rax, %r8
    movl $4, %eax
    jne 2f
    movq %xmm15, %rax
    cmpq %rax, %r8
    movl $5, %eax
    jne 2f
    movl $0xc0000102, %ecx
    rdmsr
    cmpl %eax, %r8d
    movl $6, %eax
    jne 2f
    cmpl $0x1111, %edx
    jne 2f
    jmp 1b
2:  vmcall
    jmp 2b
END guest_keep

/* An exception without an IDT. */
PROGRAM guest_triple_fault
    pushq $0
    pushq $0
    lidt (%rsp)
    ud2
END guest_triple_fault

PROGRAM guest_write_cr8
    movl $15, %eax
    movq %rax, %cr8
1:  jmp 1b
END guest_write_cr8

PROGRAM guest_disable_caches
    movq %cr0, %rax
    orl $0x40000000, %eax
    movq %rax, %cr0
    vmcall
END guest_disable_caches

/* Sets TF; the first instruction after POPFQ is followed by a #DB, whose handler reports DR6 and where it came from. */
PROGRAM guest_step
    xorl %eax, %eax
    movq %rax, %db6
    pushfq
    orq $0x100, (%rsp)
    popfq
    nop
    .globl guest_step_after
guest_step_after:
    nop
    vmcall
    .globl guest_step_handler
guest_step_handler:
    movq %db6, %rax
    movq (%rsp), %rbx
    movq 16(%rsp), %rcx
    vmcall
    /* On, without stepping. */
    andq $~0x100, 16(%rsp)
    iretq
END guest_step

/* INT1 and a data breakpoint, each with the same handler. */
PROGRAM guest_breakpoints
    xorl %eax, %eax
    movq %rax, %db6
    .byte 0xf1
    .globl guest_breakpoints_after
guest_breakpoints_after:
    movl $0x6010, %eax
    movq %rax, %db1
    movl $0x00d00408, %eax /* DR1: writes of 4 bytes, global */
    movq %rax, %db7
    movl $1, 0x6010
    .globl guest_breakpoints_written
guest_breakpoints_written:
    nop
    vmcall
    .globl guest_breakpoints_handler
guest_breakpoints_handler:
    movq %db6, %rax
    movq (%rsp), %rbx
    vmcall
    iretq
END guest_breakpoints

/* In ring 3 with AC: an #AC, whose handler reports the error code and where it came from. */
PROGRAM guest_misaligned
    movq %cr0, %rax
    orl $0x40000, %eax
    movq %rax, %cr0
    pushq $0x1b
    pushq $0x7000
    pushq $0x40002
    pushq $0x23
    leaq 1f(%rip), %rax
    pushq %rax
    iretq
    .globl guest_misaligned_access
guest_misaligned_access:
1:  movq 0x6001, %rax
    ud2
    .globl guest_misaligned_handler
guest_misaligned_handler:
    movq (%rsp), %rax
    movq 8(%rsp), %rbx
    vmcall
END guest_misaligned

/* Interrupts on; the handler of whatever comes reports. */
PROGRAM guest_wait
    sti
1:  jmp 1b
    .globl guest_wait_handler
guest_wait_handler:
    movl $0x77, %eax
    vmcall
    iretq
END guest_wait

PROGRAM guest_ports
1:  movb $0x11, %al
    outb %al, $0x80
    outb %al, $0x81
    vmcall
    jmp 1b
END guest_ports

/* Instructions that exit whatever the controls say; the monitor skips each. */
PROGRAM guest_always_exits
    cpuid
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $3, %eax
    xsetbv
    invd
    vmcall
    vmclear (%rsp)
    vmlaunch
    vmptrld (%rsp)
    vmptrst (%rsp)
    vmread %rax, %rax
    vmresume
    vmwrite %rax, %rax
    vmxoff
    vmxon (%rsp)
    invept (%rsp), %rax
    invvpid (%rsp), %rax
    hlt
END guest_always_exits

/* xmm0 is RBX; reports it, as it is after the monitor's turn. */
PROGRAM guest_vector
    movq %rbx, %xmm0
1:  vmcall
    movq %xmm0, %rbx
    jmp 1b
END guest_vector

    .text
    .globl vector_set, vector_get, read_gdt_limit, read_xcr0
/* void vector_set(uint64_t): xmm0 of the calling thread. uint64_t vector_get(void). */
vector_set:
    movq %rdi, %xmm0
    ret
vector_get:
    movq %xmm0, %rax
    ret
/* unsigned read_gdt_limit(void) */
read_gdt_limit:
    subq $16, %rsp
    sgdt (%rsp)
    movzwl (%rsp), %eax
    addq $16, %rsp
    ret
/* uint64_t read_xcr0(void) */
read_xcr0:
    xorl %ecx, %ecx
    xgetbv
    shlq $32, %rdx
    orq %rdx, %rax
    ret

    .section .note.GNU-stack, "", @progbits
