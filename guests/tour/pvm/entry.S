/* Ways into the kernel and back to programs by the PVM guest ABI; what base/traps.S is elsewhere.
 *
 * The kernel's events arrive on its stack or in the shared page, a program's in the shared page. Either way a struct
 * frame is made of them: on the stack, or in struct user, within enter_user(), which returns then. */
#include "guests/base/layout.h"
#include "guests/base/registers.inc"
#include "guests/tour/pvm/layout.h"

    .text
/* The word with the error code is at the stack pointer, and above it what PVM leaves there. */
    .macro  take_event
    movl    4(%rsp), %ecx
    movl    $0, 4(%rsp)
    pushq   %rcx                        /* the vector */
    pushq   %rax
    pushq   64(%rsp)                    /* rcx */
    pushq   %rdx
    pushq   %rbx
    pushq   %rbp
    pushq   %rsi
    pushq   %rdi
    pushq   %r8
    pushq   %r9
    pushq   %r10
    pushq   144(%rsp)                   /* r11 */
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
    cld
    movq    %rsp, %rdi
    call    take_trap
    jmp     return_to_kernel
    .endm

    .balign 1024
    .globl  pvm_events
pvm_events:
    movl    shared + SHARED_VECTOR(%rip), %ecx
    movl    shared + SHARED_ERROR(%rip), %r11d
    jmp     leave_user

    .balign 256
    take_event

    .org    pvm_events + 512
    pushq   shared + SHARED_R11(%rip)
    pushq   shared + SHARED_RCX(%rip)
    pushq   $SELECTOR_DATA
    pushq   shared + SHARED_RSP(%rip)
    movl    shared + SHARED_FLAGS(%rip), %ecx
    pushq   %rcx
    pushq   $SELECTOR_CODE
    pushq   shared + SHARED_RIP(%rip)
    movl    shared + SHARED_VECTOR(%rip), %ecx
    shlq    $32, %rcx
    pushq   %rcx
    take_event

/* Interrupts are off until the return has been made. */
    .balign 16
return_to_kernel:
    andl    $~PVM_IF, shared(%rip)
    movq    8 * 13(%rsp), %rax          /* rcx and r11, to where the return takes them from */
    movq    %rax, 128 + 48(%rsp)
    movq    8 * 4(%rsp), %rax
    movq    %rax, 128 + 56(%rsp)
    pop_registers
    addq    $8, %rsp
    .globl  pvm_rets
pvm_rets:
    syscall

    .balign 16
    .globl  take_syscall
take_syscall:
    movl    $VECTOR_SYSCALL, %ecx
    xorl    %r11d, %r11d

/* ecx: vector, r11d: error code; all other registers but the stack pointer are the program's. */
leave_user:
    pushq   %rax
    pushq   %rcx
    movq    %gs:CPU_USER, %rax
    popq    FRAME_VECTOR(%rax)
    popq    14 * 8(%rax)
    movq    %r11, FRAME_VECTOR + 8(%rax)
    movq    %r15, 0 * 8(%rax)
    movq    %r14, 1 * 8(%rax)
    movq    %r13, 2 * 8(%rax)
    movq    %r12, 3 * 8(%rax)
    movq    %r10, 5 * 8(%rax)
    movq    %r9, 6 * 8(%rax)
    movq    %r8, 7 * 8(%rax)
    movq    %rdi, 8 * 8(%rax)
    movq    %rsi, 9 * 8(%rax)
    movq    %rbp, 10 * 8(%rax)
    movq    %rbx, 11 * 8(%rax)
    movq    %rdx, 12 * 8(%rax)
    movq    shared + SHARED_R11(%rip), %rcx
    movq    %rcx, 4 * 8(%rax)
    movq    shared + SHARED_RCX(%rip), %rcx
    movq    %rcx, 13 * 8(%rax)
    movq    shared + SHARED_RIP(%rip), %rcx
    movq    %rcx, FRAME_RIP(%rax)
    movzwl  shared + SHARED_CS(%rip), %ecx
    movq    %rcx, FRAME_CS(%rax)
    movl    shared + SHARED_FLAGS(%rip), %ecx
    movq    %rcx, FRAME_RFLAGS(%rax)
    movq    shared + SHARED_RSP(%rip), %rcx
    movq    %rcx, FRAME_RSP(%rax)
    movzwl  shared + SHARED_SS(%rip), %ecx
    movq    %rcx, FRAME_RSP + 8(%rax)
    cld
    pop_kept
    ret

/* void enter_user(void), interrupts disabled: runs CPU_USER. The return keeps the stack pointer for the next event. */
    .balign 16
    .globl  enter_user
enter_user:
    push_kept
    movq    %gs:CPU_USER, %rax
    movl    $0, shared + SHARED_ERROR(%rip) /* what has no error code leaves it alone */
    movq    4 * 8(%rax), %rcx
    movq    %rcx, shared + SHARED_R11(%rip)
    movq    13 * 8(%rax), %rcx
    movq    %rcx, shared + SHARED_RCX(%rip)
    movq    FRAME_RIP(%rax), %rcx
    movq    %rcx, shared + SHARED_RIP(%rip)
    movq    FRAME_CS(%rax), %rcx
    movw    %cx, shared + SHARED_CS(%rip)
    movq    FRAME_RFLAGS(%rax), %rcx
    movl    %ecx, shared + SHARED_FLAGS(%rip)
    movq    FRAME_RSP(%rax), %rcx
    movq    %rcx, shared + SHARED_RSP(%rip)
    movq    FRAME_RSP + 8(%rax), %rcx
    movw    %cx, shared + SHARED_SS(%rip)
    movq    0 * 8(%rax), %r15
    movq    1 * 8(%rax), %r14
    movq    2 * 8(%rax), %r13
    movq    3 * 8(%rax), %r12
    movq    5 * 8(%rax), %r10
    movq    6 * 8(%rax), %r9
    movq    7 * 8(%rax), %r8
    movq    8 * 8(%rax), %rdi
    movq    9 * 8(%rax), %rsi
    movq    10 * 8(%rax), %rbp
    movq    11 * 8(%rax), %rbx
    movq    12 * 8(%rax), %rdx
    movq    14 * 8(%rax), %rax
    .globl  pvm_retu
pvm_retu:
    syscall

    .section .note.GNU-stack, "", @progbits
