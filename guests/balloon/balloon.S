/* A guest that gives memory back: asks for every page of 2 MiB from 2 MiB up to 1 GiB by hypercall 0x2101, prints in
 * hexadecimal how many were taken and what was answered to a page that is not whole, reads where one has been, and then
 * shows that it lives: "alive" about once in 2^29 ticks of the time-stamp counter.
 * PVH: 32-bit protected mode, paging off, flat segments, ebx = struct hvm_start_info.
 */
    .set HYPERCALL, 0x2101
    .set PAGE, 0x200000
    .set LIMIT, 0x40000000
    .set INTERVAL, 1 << 29

#include "../pvh.inc"

    .code32
    .text
    .globl start
start:
    movl    $stack_top, %esp
    xorl    %eax, %eax
    cpuid
    cmpl    $0x444d4163, %ecx           /* "cAMD" */
    sete    has_vmmcall
    xorl    %ebp, %ebp                  /* the count */
    movl    $PAGE, %ebx
1:  call    hypercall
    testl   %eax, %eax
    jnz     2f
    incl    %ebp
    movl    %ebx, %edi                  /* the last that was taken */
2:  addl    $PAGE, %ebx
    cmpl    $LIMIT, %ebx
    jb      1b
    movl    $gave, %esi
    call    print
    call    print_number
    movl    $0x1000, %ebx
    call    hypercall
    movl    %eax, %ebp
    movl    $refused, %esi
    call    print
    call    print_number
    movl    (%edi), %ebp
    movl    $empty, %esi
    call    print
    call    print_number
    movl    $newline, %esi
    call    print
alive:
    movl    $lives, %esi
    call    print
    rdtsc
    movl    %eax, %ebx
1:  rdtsc
    subl    %ebx, %eax
    cmpl    $INTERVAL, %eax
    jb      1b
    jmp     alive

/* With the page ebx; the answer in eax. */
hypercall:
    movl    $HYPERCALL, %eax
    cmpb    $0, has_vmmcall
    je      1f
    vmmcall
    ret
1:  vmcall
    ret

#include "../print.inc"
#include "../print_number.inc"

    .data
has_vmmcall:
    .byte   0
gave:
    .asciz  "gave "
refused:
    .asciz  " refused "
empty:
    .asciz  " empty "
number:
digits:
    .asciz  "00000000"
lives:
    .asciz  "alive\r\n"
newline:
    .asciz  "\r\n"

    .bss
    .skip   256
stack_top:

    .section .note.GNU-stack, "", @progbits
