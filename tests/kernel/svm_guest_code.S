/* Programs of guests on AMD-V alone; VMMCALL reports to the monitor. */
#include "guest_program.inc"

    .section .rodata

    .code16
PROGRAM svm_guest_exits
    cpuid
    movw $0x3f8, %dx
    movb $0x41, %al
    outb %al, %dx
    hlt
    vmmcall
END svm_guest_exits

PROGRAM svm_guest_loop
1:  incw %bx
    jmp 1b
END svm_guest_loop

    .code64
/* An interrupt of the machine's ends HLT, whether or not the guest takes any. */
PROGRAM svm_guest_idle
1:  hlt
    jmp 1b
END svm_guest_idle

/* Instructions that exit whatever the controls say; the monitor skips each. */
PROGRAM svm_guest_always_exits
    xorl %eax, %eax
    xorl %ecx, %ecx
    xorl %edx, %edx
    vmrun %rax
    vmload %rax
    vmsave %rax
    stgi
    clgi
    .byte 0x0f, 0x01, 0xdf /* INVLPGA; its operands are written in different ways */
    vmmcall
    monitor
    mwait
    movq %rax, %cr4
    rdmsr
    outb %al, $0x80
    inb $0x80, %al
    vmmcall
END svm_guest_always_exits

PROGRAM svm_guest_invd
    invd
    vmmcall
END svm_guest_invd

PROGRAM svm_guest_skinit
    .byte 0x0f, 0x01, 0xde
    vmmcall
END svm_guest_skinit

/* The register that the monitor puts into rcx. */
PROGRAM svm_guest_msr
    rdmsr
    wrmsr
    vmmcall
END svm_guest_msr

/* Those that every guest has to itself are what the monitor put into r8; then each is its complement, as far as it takes
 * that. Bits 62 to 31 of r8 are 0. */
PROGRAM svm_guest_own_msrs
    movl $0, %esi
    xorl %r9d, %r9d
1:  movl svm_table(,%rsi,4), %ecx
    movl %r8d, %eax
    addl %esi, %eax
    xorl %edx, %edx
    wrmsr
    incl %esi
    cmpl $9, %esi
    jb 1b
    .globl svm_guest_own_msrs_again
svm_guest_own_msrs_again:
    vmmcall
    movl $0, %esi
3:  movl svm_table(,%rsi,4), %ecx
    rdmsr
    subl %esi, %eax
    cmpl %eax, %r8d
    je 4f
    incl %r9d
4:  incl %esi
    cmpl $9, %esi
    jb 3b
    jmp svm_guest_own_msrs_again
    .balign 4
    .set svm_table, 2f - svm_guest_own_msrs + 0x1000
2:  .long 0x174, 0x175, 0x176, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100, 0xc0000102
END svm_guest_own_msrs

/* Interrupts on, one instruction in which they are still held, then a few in which they are not. */
PROGRAM svm_guest_window
    sti
    cpuid
    nop
    vmmcall
END svm_guest_window

/* Handlers of events: one pops the error code. */
PROGRAM svm_guest_event
1:  jmp 1b
    .globl svm_guest_event_error
svm_guest_event_error:
    popq %rax
    .globl svm_guest_event_plain
svm_guest_event_plain:
    movq (%rsp), %rbx
    vmmcall
END svm_guest_event

/* A breakpoint on the first instruction of its own handler. */
PROGRAM svm_guest_storm
    movl $svm_storm, %eax
    movq %rax, %db0
    movl $0x402, %eax
    movq %rax, %db7
    jmp svm_guest_storm_handler
    .globl svm_guest_storm_handler
svm_guest_storm_handler:
    incq 0x6000
    jmp svm_guest_storm_handler
    .globl svm_guest_storm_over
svm_guest_storm_over:
    xorl %eax, %eax
    movq %rax, %db7
    vmmcall
    .set svm_storm, svm_guest_storm_handler - svm_guest_storm + 0x1000
END svm_guest_storm

/* Accesses of 1, 2 and 4 bytes to the port in rdx; the monitor skips those that exit. */
PROGRAM svm_guest_port
    inb %dx, %al
    inw %dx, %ax
    inl %dx, %eax
    vmmcall
END svm_guest_port

/* Reads a byte at rsi, then writes it back. */
PROGRAM svm_guest_access
    movb (%rsi), %al
    movb %al, (%rsi)
    vmmcall
END svm_guest_access

/* Sets every feature that XSETBV takes. */
PROGRAM svm_guest_xsetbv
    xorl %ecx, %ecx
    xorl %edx, %edx
    movl $1, %eax
    xsetbv
    vmmcall
END svm_guest_xsetbv

/* DR0 to DR3 and DR7 for an address of the monitor's, in r8: writes of 8 bytes. */
PROGRAM svm_guest_watch
    movq %r8, %db0
    movl $0x00090402, %eax
    movq %rax, %db7
    vmmcall
    jmp svm_guest_watch
    .globl svm_guest_watch_over
svm_guest_watch_over:
    xorl %eax, %eax
    movq %rax, %db7
    vmmcall
END svm_guest_watch

    .section .note.GNU-stack, "", @progbits
