/* The kernel's test program: a root task that runs every registered case and prints TAP on the serial line.
 *
 * The root thread runs at ROOT_PRIORITY. A helper thread started above that priority has run until it blocks by the
 * time that the call which made it runnable returns; one below it runs when the root thread blocks. So every case is
 * deterministic without any waiting. What a case allocates is taken back behind its back.
 */
#pragma once

#include "runtime/runtime.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROOT_PRIORITY  100u
#define ABOVE_ROOT     101u
#define BELOW_ROOT     99u
#define HARNESS_THREADS 8u
#define WINDOW         0x100000000000ul /* addresses where nothing is mapped */

struct env;
struct thread;

typedef void thread_function(struct env *e, struct thread *t, seL4_Word argument);

struct thread {
    struct env *env;
    seL4_CPtr tcb;
    seL4_IPCBuffer *buffer;
    seL4_CPtr buffer_frame;
    uint8_t *stack;
    size_t stack_bytes;
    uintptr_t tls;
    thread_function *run;
    volatile seL4_Word finished; /* 1 when RUN has returned */
    volatile seL4_Word result[8]; /* for RUN to leave what it saw */
};

struct env {
    const seL4_BootInfo *bootinfo;
    seL4_CPtr untyped; /* the cases' memory */
    uint32_t untyped_bits;
    seL4_CPtr first_slot;
    seL4_CPtr next_slot;
    uint32_t thread_count;
    struct thread thread[HARNESS_THREADS];
    bool has_vcpu; /* VCPU objects can be made */
    bool has_vtx, has_svm; /* and are run by VT-x, or AMD-V */
    bool is_ours; /* the kernel announces itself by a record of its own */

    /* How the case ended, for main.c. */
    jmp_buf back;
    const char *file;
    int line;
    char message[300];
};

enum case_outcome { CASE_PASSED = 0, CASE_FAILED = 1, CASE_SKIPPED = 2 };

struct test_case {
    const char *name;
    void (*run)(struct env *e);
};

/* Defines and registers a case; the name is what TAP shows, the file its chapter. */
#define TEST(case_name)                                                                                       \
    static void case_name(struct env *e);                                                                     \
    static const struct test_case case_name##_case                                                            \
        __attribute__((used, section(".registered"), aligned(16))) = { #case_name, case_name };               \
    static void case_name(struct env *e)

/* Ends the case as failed, with the place and FORMAT. Only in the root thread. */
_Noreturn void fail(struct env *e, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Ends the case as skipped. Only in the root thread. */
_Noreturn void skip(struct env *e, const char *reason);

#define EXPECT(condition)                                          \
    do {                                                           \
        if (!(condition))                                          \
            fail(e, __FILE__, __LINE__, "not so: %s", #condition); \
    } while (0)

#define EXPECT_EQ(actual, wanted)                                                                             \
    do {                                                                                                      \
        seL4_Word actual_ = (seL4_Word)(actual), wanted_ = (seL4_Word)(wanted);                               \
        if (actual_ != wanted_)                                                                               \
            fail(e, __FILE__, __LINE__, "%s is %#lx, not %s = %#lx", #actual, actual_, #wanted, wanted_);     \
    } while (0)

#define EXPECT_OK(call) EXPECT_EQ(call, seL4_NoError)

/* One line of TAP commentary. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The cases' memory: the largest untyped of RAM. */
void choose_memory(struct env *e);

seL4_CPtr new_slot(struct env *e);

/* COUNT empty slots side by side; returns the first. */
seL4_CPtr new_slots(struct env *e, seL4_Word count);

/* An object of the harness's untyped memory in a new slot. */
seL4_CPtr new_object(struct env *e, seL4_Word type, seL4_Word size_bits);

/* An untyped of that size, carved out of the harness's. */
seL4_CPtr new_untyped(struct env *e, seL4_Word size_bits);

/* Copies of a capability of the root CNode in a new slot, with these rights or badge. */
seL4_CPtr copy_of(struct env *e, seL4_CPtr cap, seL4_CapRights_t rights);
seL4_CPtr badged(struct env *e, seL4_CPtr cap, seL4_Word badge);

/* A slot's depth in the root CNode. */
#define ROOT       ((seL4_CNode)seL4_CapInitThreadCNode)
#define ROOT_DEPTH seL4_WordBits

bool slot_is_empty(seL4_CPtr slot);

/* The frame capability of a page of our own image. */
seL4_CPtr image_frame(struct env *e, const void *address);

/* A thread in the root's spaces, with an IPC buffer and a stack, not yet started, with FAULT_ENDPOINT (0: none). */
struct thread *new_thread(struct env *e, seL4_CPtr fault_endpoint);

/* Starts a thread at RUN with ARGUMENT. */
void start(struct thread *t, thread_function *run, seL4_Word argument, seL4_Word priority);

/* Starts a thread at an instruction, with registers that the case chooses; rsp and rflags are filled in where 0. */
void start_at(struct thread *t, const void *instruction, seL4_UserContext regs, seL4_Word priority);

/* Maps a new frame of 4 KiB at ADDRESS, with all paging structures it takes; returns the frame. */
seL4_CPtr map_new_page(struct env *e, seL4_Word address, seL4_CapRights_t rights);

/* Makes the paging structures above ADDRESS in VSPACE, down to the one that takes pages of PAGE_BITS. */
void map_structures(struct env *e, seL4_CPtr vspace, seL4_Word address, seL4_Word page_bits);
