/* A guest that shows that it lives: prints its command line and a count, in hexadecimal, again and again, about once in
 * 2^29 ticks of the time-stamp counter; and what is typed on COM1.
 * PVH: 32-bit protected mode, paging off, flat segments, ebx = struct hvm_start_info. Uses no memory but its own.
 */
    .set RECEIVED, 0x01
    .set INTERVAL, 1 << 29

#include "../pvh.inc"

    .code32
    .text
    .globl start
start:
    movl    $stack_top, %esp
    movl    CMDLINE_PADDR(%ebx), %edi   /* stays there */
    xorl    %ebp, %ebp                  /* the count */
beat:
    incl    %ebp
    movl    %edi, %esi
    call    print
    call    print_number
    movl    $newline, %esi
    call    print
    rdtsc
    movl    %eax, %ebx
wait:
    movw    $LINE_STATUS, %dx
    inb     %dx, %al
    testb   $RECEIVED, %al
    jz      1f
    movw    $COM1, %dx
    inb     %dx, %al
    movb    %al, typed
    movl    %edi, %esi
    call    print
    movl    $heard, %esi
    call    print
1:  rdtsc
    subl    %ebx, %eax
    cmpl    $INTERVAL, %eax
    jb      wait
    jmp     beat

#include "../print.inc"
#include "../print_number.inc"

    .data
number:
    .ascii  " beat "
digits:
    .asciz  "00000000"
heard:
    .ascii  " heard "
typed:
    .asciz  ".\r\n"
newline:
    .asciz  "\r\n"

    .bss
    .skip   256
stack_top:

    .section .note.GNU-stack, "", @progbits
