/* The first instruction of a service: init has put the startup page into rdi and the stack's top into rsp. */
    .section .text.entry, "ax"
    .globl service_entry
service_entry:
    xorl    %ebp, %ebp
    andq    $-16, %rsp
    call    service_start
    ud2

    .section .note.GNU-stack, "", @progbits
