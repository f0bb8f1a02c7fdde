/* A guest that measures exits: for each kind, the ticks of one, on average over many, as a line on COM1. Then it powers
 * off. PVH: 32-bit protected mode, paging off, flat segments. Uses no memory but its own and the I/O APIC's. */
    .set DELAY_PORT, 0x80
    .set APIC_BASE_MSR, 0x1b
    .set IOAPIC, 0xfec00000
    .set CPUID_BASIC, 0                 /* a leaf that needs no look at the guest's registers */
    .set PM1_CONTROL, 0x604             /* vmm/device.h */
    .set SLEEP_S5, 5 << 10 | 1 << 13    /* SLP_TYP 5, SLP_EN */
    .set ROUNDS, 10000

#include "../pvh.inc"

    .code32
    .text
    .globl start
start:
    movl    $stack_top, %esp
    movl    $measurements, %ebp

/* Each measurement: a function that causes one exit, and its name. */
measure:
    movl    (%ebp), %edi
    testl   %edi, %edi
    jz      finish
    call    *%edi                       /* the first one may cost more */
    movl    $ROUNDS, %esi
    rdtsc
    movl    %eax, begin
1:  call    *%edi
    decl    %esi
    jnz     1b
    rdtsc
    subl    begin, %eax
    xorl    %edx, %edx
    movl    $ROUNDS, %ecx
    divl    %ecx
    movl    4(%ebp), %esi
    call    print
    call    print_number
    movl    $unit, %esi
    call    print
    addl    $8, %ebp
    jmp     measure

finish:
    movw    $PM1_CONTROL, %dx
    movw    $SLEEP_S5, %ax
    outw    %ax, %dx
    cli
    hlt

exit_cpuid:
    movl    $CPUID_BASIC, %eax
    cpuid
    ret
exit_port_write:
    outb    %al, $DELAY_PORT
    ret
exit_port_read:
    inb     $DELAY_PORT, %al
    ret
exit_serial_status:
    movw    $LINE_STATUS, %dx
    inb     %dx, %al
    ret
exit_rdmsr:
    movl    $APIC_BASE_MSR, %ecx
    rdmsr
    ret
exit_memory_read:
    movl    IOAPIC, %eax
    ret
exit_memory_write:
    movl    %eax, IOAPIC
    ret
no_exit:
    ret

/* eax in decimal. */
print_number:
    movl    $number_end, %esi
    movl    $10, %ecx
1:  xorl    %edx, %edx
    divl    %ecx
    addb    $'0', %dl
    decl    %esi
    movb    %dl, (%esi)
    testl   %eax, %eax
    jnz     1b
    /* falls through */

#include "../print.inc"

    .data
measurements:
    .long   exit_cpuid, name_cpuid
    .long   exit_port_write, name_port_write
    .long   exit_port_read, name_port_read
    .long   exit_serial_status, name_serial_status
    .long   exit_rdmsr, name_rdmsr
    .long   exit_memory_read, name_memory_read
    .long   exit_memory_write, name_memory_write
    .long   no_exit, name_no_exit
    .long   0
name_cpuid:         .asciz "exit cpuid: "
name_port_write:    .asciz "exit port-write: "
name_port_read:     .asciz "exit port-read: "
name_serial_status: .asciz "exit serial-status: "
name_rdmsr:         .asciz "exit rdmsr: "
name_memory_read:   .asciz "exit memory-read: "
name_memory_write:  .asciz "exit memory-write: "
name_no_exit:       .asciz "exit none: "
unit:               .asciz " ticks\r\n"

    .bss
begin:
    .skip   4
    .skip   10
number_end:
    .skip   2
    .balign 16
    .skip   256
stack_top:

    .section .note.GNU-stack, "", @progbits
