/* A guest that prints its command line on COM1 and ends at once, in the way that the command line's first letter names:
 *   r  resets by the reset register (ACPI 6.5, 4.8.3.6)     t  triple-faults
 *   h  halts for good with interrupts off                   anything else: powers off (ACPI 6.5, 4.8.3.2.1)
 * PVH: 32-bit protected mode, paging off, flat segments, ebx = struct hvm_start_info. Uses no memory but its own.
 */
    .set PM1_CONTROL, 0x604             /* vmm/device.h */
    .set SLEEP_S5, 5 << 10 | 1 << 13    /* SLP_TYP 5, SLP_EN */
    .set RESET_CONTROL, 0xcf9
    .set RESET, 6

#include "../pvh.inc"

    .code32
    .text
    .globl start
start:
    movl    $stack_top, %esp
    movl    $greeting, %esi
    call    print
    movl    CMDLINE_PADDR(%ebx), %edi
    movl    %edi, %esi
    call    print
    movl    $newline, %esi
    call    print

    movb    (%edi), %al
    cmpb    $'r', %al
    je      reset
    cmpb    $'t', %al
    je      triple_fault
    cmpb    $'h', %al
    je      halt
    movw    $PM1_CONTROL, %dx
    movw    $SLEEP_S5, %ax
    outw    %ax, %dx
    jmp     halt
reset:
    movw    $RESET_CONTROL, %dx
    movb    $RESET, %al
    outb    %al, %dx
    jmp     halt
triple_fault:
    lidt    empty_idt
    ud2
halt:
    cli
    hlt
    jmp     halt

#include "../print.inc"

    .data
greeting:
    .asciz  "poweroff guest: "
newline:
    .asciz  "\r\n"
empty_idt:
    .word   0
    .long   0

    .bss
    .skip   256
stack_top:

    .section .note.GNU-stack, "", @progbits
