/* Entry from the boot loader: Multiboot headers, the way from 32-bit protected mode to long mode in the kernel window. */
#include <arch/x86_64/layout.h>

#define MULTIBOOT1_MAGIC 0x1badb002
#define MULTIBOOT1_FLAGS 0x10003 /* modules on page boundaries, memory map, address fields valid */
#define MULTIBOOT2_MAGIC 0xe85250d6

#define MSR_EFER       0xc0000080
#define EFER_LME_NXE   0x900
#define CR0_PE_WP_PG   0x80010001
#define CR4_PAE        0x20
#define PAGE_TABLE     0x3  /* present, writable */
#define PAGE_LARGE     0x83 /* and 2 MiB large */

    .section .boot.header, "a", @progbits
    .balign 8
multiboot1_header:
    .long MULTIBOOT1_MAGIC
    .long MULTIBOOT1_FLAGS
    .long -(MULTIBOOT1_MAGIC + MULTIBOOT1_FLAGS)
    .long multiboot1_header
    .long boot_load_start
    .long boot_load_end
    .long boot_bss_end
    .long boot_entry

    .balign 8
multiboot2_header:
    .long MULTIBOOT2_MAGIC
    .long 0 /* i386 */
    .long multiboot2_end - multiboot2_header
    .long -(MULTIBOOT2_MAGIC + multiboot2_end - multiboot2_header)
    .short 6, 0 /* modules on page boundaries */
    .long 8
    .short 0, 0 /* end of tags */
    .long 8
multiboot2_end:

    .balign 8
boot_gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff /* 64-bit code, ring 0 */
    .quad 0x00cf93000000ffff /* data, ring 0 */
boot_gdt_pointer:
    .short boot_gdt_pointer - boot_gdt - 1
    .long boot_gdt

no_long_mode_text:
    .asciz "[kernel] this CPU has no 64-bit mode with no-execute pages; beaml4 cannot run on it\r\n"

    .section .boot.text, "ax", @progbits
    .code32
    .globl boot_entry
boot_entry:
    cli
    cld
    movl %eax, %ebp /* the loader's magic; %ebx: its information */

    movl $0x80000000, %eax
    movl %ebx, %esi
    cpuid
    cmpl $0x80000001, %eax
    jb no_long_mode
    movl $0x80000001, %eax
    cpuid
    andl $0x20100000, %edx /* long mode, no-execute */
    cmpl $0x20100000, %edx
    jne no_long_mode

    /* The first 4 GiB, both where they are and in the kernel window. */
    movl $boot_pdpt_physical, %eax
    orl $PAGE_TABLE, %eax
    movl %eax, boot_pml4_physical
    movl %eax, boot_pml4_physical + 8 * KERNEL_WINDOW_SLOT
    movl $boot_pd_physical, %eax
    orl $PAGE_TABLE, %eax
    movl $boot_pdpt_physical, %edi
    movl $4, %ecx
1:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    loop 1b
    movl $boot_pd_physical, %edi
    movl $PAGE_LARGE, %eax
    movl $2048, %ecx
2:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 2b

    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $boot_pml4_physical, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME_NXE, %eax
    wrmsr
    movl $CR0_PE_WP_PG, %eax
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmpl $SELECTOR_KERNEL_CODE, $boot_entry64

/* Says so on COM1 and stops. */
no_long_mode:
    movl $no_long_mode_text, %esi
3:  movw $0x3fd, %dx
    inb %dx, %al
    testb $0x20, %al
    jz 3b
    movb (%esi), %al
    testb %al, %al
    jz 4f
    movw $0x3f8, %dx
    outb %al, %dx
    incl %esi
    jmp 3b
4:  hlt
    jmp 4b

    .code64
boot_entry64:
    movl $SELECTOR_KERNEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl %ebp, %edi
    movl %esi, %esi
    movabsq $boot_high, %rax
    jmp *%rax

    .text
boot_high:
    leaq boot_stack_end(%rip), %rsp
    xorl %ebp, %ebp
    call kernel_boot
5:  hlt
    jmp 5b

    .section .bss.pages, "aw", @nobits
    .balign 4096
    .globl boot_pml4, boot_pdpt, boot_pd
boot_pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_pd:
    .skip 4 * 4096
    .skip 8192 /* the stack of kernel_boot */
boot_stack_end:
