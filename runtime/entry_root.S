/* The first instruction of a root task: the kernel has put bootinfo's address into rdi; there is no stack yet. */
    .section .text.entry, "ax"
    .globl root_entry
root_entry:
    xorl    %ebp, %ebp
    movq    $__stack_top, %rsp
    call    root_start
    ud2

    .section .note.GNU-stack, "", @progbits
