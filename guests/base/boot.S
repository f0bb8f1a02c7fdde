/* The two ways in: entry64 by the Linux 64-bit protocol (long mode, rsi = struct boot_params), entry32 by PVH
 * (32-bit protected mode, paging off, ebx = struct hvm_start_info). Both map the first GiB twice, to itself and at
 * kernel_base, and go on at kernel_start(information, whether by PVH), which runs where it was linked. */
    .set PAGE_FLAGS, 0x83               /* present, writable, 2 MiB */
    .set TABLE_FLAGS, 0x03
    .set CR4_PAE, 1 << 5
    .set EFER, 0xc0000080
    .set EFER_LME, 1 << 8
    .set CR0_PG, 1 << 31
    .set CODE, 0x08
    .set PAGES, 512
    .set STACK_BYTES, 32768

    .section .note.pvh, "a", @note
    .balign 4
    .long   4, 4, 18                    /* name and description of 4 bytes; XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz  "Xen"
    .long   entry32

    .section .boot, "ax"
    .code32
entry32:
    movl    $boot_directory, %edi
    movl    $PAGE_FLAGS, %eax
    movl    $PAGES, %ecx
1:  movl    %eax, (%edi)
    movl    $0, 4(%edi)
    addl    $8, %edi
    addl    $0x200000, %eax
    loop    1b
    movl    $boot_directory + TABLE_FLAGS, boot_pdpt
    movl    $boot_pdpt + TABLE_FLAGS, boot_pml4
    movl    $CR4_PAE, %eax
    movl    %eax, %cr4
    movl    $boot_pml4, %eax
    movl    %eax, %cr3
    movl    $EFER, %ecx
    rdmsr
    orl     $EFER_LME, %eax
    wrmsr
    movl    %cr0, %eax
    orl     $CR0_PG, %eax
    movl    %eax, %cr0
    lgdt    boot_gdt_pointer
    ljmp    $CODE, $from_pvh

    .code64
from_pvh:
    movl    %ebx, %edi
    movl    $1, %esi
    jmp     2f

    .globl entry64
entry64:
    movq    %rsi, %rdi
    xorl    %esi, %esi

/* Page tables of our own. Where they are active already, nothing in them changes that is in use. */
2:  cld
    movq    %rdi, %rbx
    leaq    boot_directory(%rip), %rdx
    movq    %rdx, %rdi
    movl    $PAGE_FLAGS, %eax
    movl    $PAGES, %ecx
3:  movq    %rax, (%rdi)
    addq    $8, %rdi
    addq    $0x200000, %rax
    loop    3b
    addq    $TABLE_FLAGS, %rdx

    movq    $kernel_base, %rcx
    leaq    boot_pdpt_high(%rip), %rdi
    movq    %rcx, %rax
    shrq    $30, %rax
    andl    $511, %eax
    movq    %rdx, (%rdi,%rax,8)
    addq    $TABLE_FLAGS, %rdi
    leaq    boot_pml4(%rip), %rbp
    movq    %rcx, %rax
    shrq    $39, %rax
    andl    $511, %eax
    movq    %rdi, (%rbp,%rax,8)

    leaq    boot_pdpt(%rip), %rdi
    movq    %rdx, (%rdi)
    addq    $TABLE_FLAGS, %rdi
    movq    %rdi, (%rbp)
    movq    %rbp, %cr3

    movq    %rbx, %rdi
    leaq    boot_stack_end(%rcx), %rsp
    movq    $kernel_start, %rax
    pushq   $0
    jmp     *%rax

    .balign 8
boot_gdt:
    .quad   0
    .quad   0x00af9b000000ffff          /* 64-bit code */
boot_gdt_pointer:
    .word   . - boot_gdt - 1
    .long   boot_gdt

    .section .tables, "aw", @nobits
    .balign 4096
boot_pml4:
    .skip   4096
boot_pdpt:
    .skip   4096
boot_pdpt_high:
    .skip   4096
boot_directory:
    .skip   4096
    .skip   STACK_BYTES
    .globl boot_stack_end
boot_stack_end:

    .section .note.GNU-stack, "", @progbits
