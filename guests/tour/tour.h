/* What the checks have in common. A check is one line of TAP: that what the processor did is what the manual says. */
#pragma once

#include "guests/base/kernel.h"

#define NO_VECTOR 0xffff

/* Where QEMU's processor itself is known to be wrong, nothing is expected of it. "tcg" on the command line: it
 * executes the guest's instructions; "qemu": it has the guest's page tables and interrupts as well, in AMD-V, or
 * (bare) without a monitor. */
extern bool on_tcg, on_qemu, on_bare_qemu;

/* "bochs" on the command line: its processor keeps instructions that it has decoded over INVLPG of their second
 * page. */
extern bool on_bochs;

/* "vtx" on the command line: the monitor cannot write CR2 there, and so raises no page fault of its own. */
extern bool on_vtx;

void check(bool passed, const char *name);
/* The same, and says what there was instead. */
void check_equal(uint64_t found, uint64_t expected, const char *name);
void skip(const char *name, const char *reason);

/* The last exception in the kernel, and how many there were. */
struct caught {
    uint64_t vector, error, rip, cr2, rflags, rsp, cs, ss, count;
};
extern volatile struct caught caught;

/* Where to go on after an exception; 0: none is expected. Where the instruction was that is being tried. */
extern volatile uint64_t resume, attempt;

/* Runs one instruction that may fault; what follows its text are operands, as __asm__ has them. */
#define TRY(instruction, ...) do { \
        caught.vector = NO_VECTOR; \
        __asm__ volatile("movq $99f, resume(%%rip)\n\tmovq $98f, attempt(%%rip)\n" \
                         "98:\t" instruction "\n99:\tmovq $0, resume(%%rip)" __VA_ARGS__); \
    } while (0)

/* The same with instructions before, which may not fault, and others behind, which follow in either case. */
#define TRY_WITH(before, instruction, after, ...) do { \
        caught.vector = NO_VECTOR; \
        __asm__ volatile("movq $99f, resume(%%rip)\n\tmovq $98f, attempt(%%rip)\n\t" before "\n" \
                         "98:\t" instruction "\n99:\t" after "\n\tmovq $0, resume(%%rip)" __VA_ARGS__); \
    } while (0)

/* That the instruction of TRY() went through; that it faulted, where it was. */
void check_done(const char *name);
void check_fault(uint64_t vector, uint64_t error, const char *name);
/* A page fault at ADDRESS. */
void check_page_fault(uint64_t error, uint64_t address, const char *name);

/* An error code with the number of a gate (SDM 3A 6.13). */
uint64_t gate_error(unsigned vector);

/* Takes a vector in place of what catches exceptions; NULL: nothing does. */
void on_trap(unsigned vector, void (*handler)(struct frame *frame));

/* Interrupts in the order in which they came. */
#define INTERRUPTS_KEPT 64
extern volatile unsigned interrupts;
extern volatile uint8_t interrupt_vector[INTERRUPTS_KEPT];
/* Enables interrupts until COUNT have come since `interrupts` was 0, or too much time has gone by. */
bool wait_for_interrupts(unsigned count);

/* Addresses for checks that map something: 512 GiB with nothing in it, in the half where the kernel is. */
#define TEST_BASE (IN_UPPER_HALF ? 0xffffa00000000000ul : 0x10000000000ul)
#define KERNEL_TABLE (PTE_PRESENT | PTE_WRITE)
#define KERNEL_PAGE  (PTE_WRITE | no_execute)

/* Code of user programs, which runs at USER_TEXT with rsi = USER_DATA (a page to write to), rsp = USER_STACK. */
#define USER_TEXT  (USER_BASE + 0x400000)
#define USER_DATA  (USER_BASE + 0x600000)
#define USER_STACK (USER_BASE + 0x7ff000)
#define USER_CODE(name, text) \
    __asm__(".pushsection .user, \"a\"\n" #name ":\n" text "\n" #name "_end:\n.popsection"); \
    extern const char name[], name##_end[]
#define RUN(name) run_code(name, name##_end)

extern struct user program;      /* what RUN() ran */
extern volatile uint8_t *program_text, *program_data; /* its pages, as the kernel sees them */
/* A new address space with text, data and stack; a program in it, ready to start. */
void make_program(struct user *user, const char *start, const char *end);
void load_program(struct user *user, const char *start, const char *end);
uint64_t run_code(const char *start, const char *end);
void check_user_fault(uint64_t vector, uint64_t error, uint64_t offset, const char *name);
void check_user_call(uint64_t rax, const char *name);

void paging_checks(void);
void paging_edit_checks(void);
void descriptor_checks(void);
void exception_checks(void);
void nested_checks(void);
void flags_checks(void);
void cpu_checks(void);
void extended_state_checks(void);
void code_checks(void);
void device_checks(void);
void interrupt_checks(void);
void syscall_checks(void);
void user_checks(void);
void process_checks(void);
#ifdef SPEAKS_PVM
void pvm_checks(void);
#endif
