/* A guest that shows that it lives: prints its command line and a count, in hexadecimal, again and again, about once in
 * 2^29 ticks of the time-stamp counter; and what is typed on COM1.
 * PVH: 32-bit protected mode, paging off, flat segments, ebx = struct hvm_start_info. Uses no memory but its own.
 */
    .set COM1, 0x3f8
    .set LINE_STATUS, 0x3fd
    .set RECEIVED, 0x01
    .set TRANSMITTER_EMPTY, 0x20
    .set CMDLINE_PADDR, 24              /* in struct hvm_start_info */
    .set INTERVAL, 1 << 29

    .section .note.pvh, "a", @note
    .balign 4
    .long   4, 4, 18                    /* name and description of 4 bytes; XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz  "Xen"
    .long   start

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
    call    print_count
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

/* A blank and the eight digits of ebp. */
print_count:
    movl    $8, %ecx
    movl    %ebp, %edx
    movl    $digits, %esi
1:  roll    $4, %edx
    movl    %edx, %eax
    andl    $15, %eax
    movb    hexadecimal(%eax), %al
    movb    %al, (%esi)
    incl    %esi
    loop    1b
    movl    $count, %esi
    jmp     print

/* The text at esi, up to its zero byte. */
print:
    lodsb
    testb   %al, %al
    jz      1f
    movb    %al, %ah
    movw    $LINE_STATUS, %dx
2:  inb     %dx, %al
    testb   $TRANSMITTER_EMPTY, %al
    jz      2b
    movb    %ah, %al
    movw    $COM1, %dx
    outb    %al, %dx
    jmp     print
1:  ret

    .data
hexadecimal:
    .ascii  "0123456789abcdef"
count:
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
