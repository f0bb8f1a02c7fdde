/* A small system: processes that the timer takes turns with, and commands from the serial port. */
#pragma once

#include "guests/base/kernel.h"

#define VECTOR_TIMER  0x71
#define VECTOR_SERIAL 0x74
#define TICKS_PER_SECOND 100u

#define USER_TEXT  (USER_BASE + 0x400000)
#define USER_DATA  (USER_BASE + 0x600000)
#define USER_FRESH (USER_BASE + 0x40000000) /* pages come when they are touched */
#define USER_FRESH_END (USER_FRESH + 64 * MIB)
#define USER_STACK (USER_BASE + 0x7ff000)

/* System calls: the number in rax, an argument in rdi. */
#define CALL_EXIT   1
#define CALL_PUT    2 /* a character */
#define CALL_SLEEP  3 /* ticks */
#define CALL_YIELD  4
#define CALL_NOTHING 5
#define CALL_NUMBER 6 /* prints it, and ends the line */

/* A program: it starts at its first byte, with rsi = USER_DATA, rsp = USER_STACK. */
struct program {
    const char *name, *start, *end, *what;
};
extern const struct program programs[];
extern const unsigned program_count;
#define PROGRAM(name, text) \
    __asm__(".pushsection .user, \"a\"\n" #name "_code:\n" text "\n" #name "_code_end:\n.popsection"); \
    extern const char name##_code[], name##_code_end[]

/* process.c */
enum process_state { PROCESS_NONE, PROCESS_READY, PROCESS_SLEEPS };
struct process {
    struct user user;
    uint8_t *fpu;
    const char *name;
    uint64_t wake, ticks, calls;
    enum process_state state;
};
#define PROCESSES 16u
extern struct process process[PROCESSES];

bool process_load(struct process *p, const char *name, const char *start, const char *end);
void process_end(struct process *p);
/* The page that a page fault of its wants, if it may have one. */
bool process_fresh_page(struct process *p);
/* Runs the next process that can, or halts until an interrupt. */
void process_schedule(void);

/* time.c: rates of the machine's clocks, and ticks since it started. */
extern uint64_t tsc_hz, timer_hz;
extern volatile uint64_t now;
void time_init(void);
void time_start(void);
void time_stop(void);

/* Interrupts, whether they came to the kernel or to a process. */
bool take_interrupt(uint64_t vector);
bool next_input(char *c);

/* bench.c */
void bench(void);
