/* Where the kernel lives in virtual memory, and the numbers that its C and assembly parts must agree on. Usable from
 * assembly. */
#pragma once

/* The kernel window: PML4 slot 509. Physical address p is mapped at KERNEL_WINDOW + p, the kernel image included. */
#define KERNEL_WINDOW_SLOT 509
#define KERNEL_WINDOW      0xfffffe8000000000
#define KERNEL_WINDOW_SIZE 0x8000000000

/* Physical address at which the boot loader puts the kernel. */
#define KERNEL_LOAD_ADDRESS 0x100000

/* Segment selectors. The order is the one that SYSCALL and SYSRET want (SDM 3A 5.8.8); the numbers are Linux's, so that
 * IA32_STAR is, and need not be switched at the entries and exits of such guests. */
#define SELECTOR_KERNEL_CODE 0x10
#define SELECTOR_KERNEL_DATA 0x18
#define SELECTOR_SYSRET_BASE 0x23
#define SELECTOR_USER_DATA   0x2b
#define SELECTOR_USER_CODE   0x33
#define SELECTOR_TSS         0x38
#define GDT_ENTRIES          9

/* Stacks of one CPU; below each lies an unmapped page. */
#define KERNEL_STACK_SIZE    16384
#define EXCEPTION_STACK_SIZE 4096

/* Interrupt stack table entries of the exceptions that must not trust the current stack. */
#define IST_NONE          0
#define IST_DOUBLE_FAULT  1
#define IST_NMI           2
#define IST_MACHINE_CHECK 3
#define IST_DEBUG         4
#define IST_COUNT         4

/* Interrupt vectors. An IRQ number of the API is a vector minus VECTOR_IRQ_FIRST. */
#define VECTOR_IRQ_FIRST      32
#define VECTOR_IRQ_USER_FIRST 48
#define VECTOR_IRQ_USER_LAST  155
#define VECTOR_IOMMU          156
#define VECTOR_TIMER          157
#define VECTOR_IPI_CALL       158
#define VECTOR_IPI_RESCHEDULE 159
#define VECTOR_IRQ_LAST       159
#define VECTOR_TRAP_FIRST     160
#define VECTOR_SPURIOUS       255
#define VECTOR_COUNT          256

/* struct context.entry: how the thread came into the kernel, if not by the vector of that number. */
#define ENTRY_SYSCALL (-1)
#define ENTRY_NONE    (-2)

/* Offsets into struct cpu_arch, which GS points at while the kernel runs. */
#define CPU_SELF        0
#define CPU_STACK_TOP   8
#define CPU_USER_RSP    16
#define CPU_CONTEXT_END 28

/* Offsets into struct context. */
#define CONTEXT_ENTRY  120
#define CONTEXT_RIP    136
#define CONTEXT_RFLAGS 152
#define CONTEXT_RSP    160
#define CONTEXT_END    176
