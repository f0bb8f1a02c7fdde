/* From PVH's 32-bit mode to 64-bit C: identity page tables of the first 4 GiB, an IDT, guest_main. */
    .set PAGE_FLAGS, 0x83               /* present, writable, 2 MiB */
    .set TABLE_FLAGS, 0x03
    .set CR4_PAE, 1 << 5
    .set EFER, 0xc0000080
    .set EFER_LME, 1 << 8
    .set CR0_PG, 1 << 31
    .set CODE, 0x08

#include "../pvh.inc"

    .code32
    .text
    .globl start
start:
    movl    $stack_top, %esp
    movl    CMDLINE_PADDR(%ebx), %ebp

    movl    $pml4, %edi
    movl    $pdpt + TABLE_FLAGS, (%edi)
    movl    $pdpt, %edi
    movl    $directories + TABLE_FLAGS, %eax
    movl    $4, %ecx
1:  movl    %eax, (%edi)
    addl    $8, %edi
    addl    $4096, %eax
    loop    1b
    movl    $directories, %edi
    movl    $PAGE_FLAGS, %eax
    movl    $4 * 512, %ecx
2:  movl    %eax, (%edi)
    addl    $8, %edi
    addl    $0x200000, %eax
    loop    2b

    movl    $CR4_PAE, %eax
    movl    %eax, %cr4
    movl    $pml4, %eax
    movl    %eax, %cr3
    movl    $EFER, %ecx
    rdmsr
    orl     $EFER_LME, %eax
    wrmsr
    movl    %cr0, %eax
    orl     $CR0_PG, %eax
    movl    %eax, %cr0
    lgdt    gdt_pointer
    ljmp    $CODE, $start64

    .code64
start64:
    xorl    %eax, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    movl    %ebp, %edi
    call    guest_main
3:  cli
    hlt
    jmp     3b

#include "../vectors.inc"

    .balign 16
take_vector:
    pushq   %rax
    pushq   %rcx
    pushq   %rdx
    pushq   %rbx
    pushq   %rbp
    pushq   %rsi
    pushq   %rdi
    pushq   %r8
    pushq   %r9
    pushq   %r10
    pushq   %r11
    movq    %rsp, %rdi
    movq    %rsp, %rbx
    andq    $-16, %rsp
    call    take_exception
    movq    %rbx, %rsp
    popq    %r11
    popq    %r10
    popq    %r9
    popq    %r8
    popq    %rdi
    popq    %rsi
    popq    %rbp
    popq    %rbx
    popq    %rdx
    popq    %rcx
    popq    %rax
    addq    $16, %rsp
    iretq

    .data
    .balign 8
gdt:
    .quad   0
    .quad   0x00af9b000000ffff          /* 64-bit code */
gdt_pointer:
    .word   . - gdt - 1
    .long   gdt

    .bss
    .balign 4096
pml4:
    .skip   4096
pdpt:
    .skip   4096
directories:
    .skip   4 * 4096
    .skip   16384
stack_top:

    .section .note.GNU-stack, "", @progbits
