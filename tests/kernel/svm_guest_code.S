/* Programs of guests on AMD-V; VMMCALL reports to the monitor. */
    .macro PROGRAM name
    .globl \name
\name:
    .endm
    .macro END name
    .globl \name\()_end
\name\()_end:
    .endm

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

PROGRAM svm_guest_far
    movw $0xffff, %ax
    movw %ax, %ds
    movb 0x10, %al
    movl $0x300000, %ebx
    movb (%ebx), %al
END svm_guest_far

PROGRAM svm_guest_ports
    outb %al, $0x80
    vmmcall
END svm_guest_ports
