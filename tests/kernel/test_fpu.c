/* FPU, SSE and AVX registers belong to each thread. The code around them uses none. */
#include "tests/kernel/harness.h"

#include <string.h>

#define ROUNDS 50u

struct vectors {
    uint8_t bytes[16][32];
};

/* xmm0 to xmm15, or ymm0 to ymm15 where the kernel has the upper halves on. */
static bool has_ymm(void)
{
    uint32_t a = 1, b, c = 0, d, low, high;

    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (!(c & 1u << 27) || !(c & 1u << 28)) /* OSXSAVE, AVX */
        return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}

#define EACH_REGISTER(op) \
    op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD_YMM(n)  "vmovdqu " #n "*32(%0), %%ymm" #n "\n"
#define STORE_YMM(n) "vmovdqu %%ymm" #n ", " #n "*32(%0)\n"
#define LOAD_XMM(n)  "movdqu " #n "*32(%0), %%xmm" #n "\n"
#define STORE_XMM(n) "movdqu %%xmm" #n ", " #n "*32(%0)\n"

static void load_vectors(const struct vectors *v, bool ymm)
{
    if (ymm)
        __asm__ volatile(EACH_REGISTER(LOAD_YMM) : : "r"(v) : "memory");
    else
        __asm__ volatile(EACH_REGISTER(LOAD_XMM) : : "r"(v) : "memory");
}

static void store_vectors(struct vectors *v, bool ymm)
{
    if (ymm)
        __asm__ volatile(EACH_REGISTER(STORE_YMM) : : "r"(v) : "memory");
    else
        __asm__ volatile(EACH_REGISTER(STORE_XMM) : : "r"(v) : "memory");
}

static void fill(struct vectors *v, seL4_Word seed, bool ymm)
{
    memset(v, 0, sizeof *v);
    for (unsigned i = 0; i < 16; i++)
        for (unsigned j = 0; j < (ymm ? 32u : 16u); j++)
            v->bytes[i][j] = (uint8_t)(seed * 37 + i * 32 + j);
}

/* An x87 constant and a rounding mode that only this thread has. */
static void load_x87(uint32_t value, uint32_t mxcsr)
{
    __asm__ volatile("fninit; fildl %0; ldmxcsr %1" : : "m"(value), "m"(mxcsr));
}

static bool x87_is(uint32_t value, uint32_t mxcsr)
{
    uint32_t got, got_mxcsr;

    __asm__ volatile("fistl %0; stmxcsr %1" : "=m"(got), "=m"(got_mxcsr));
    return got == value && (got_mxcsr & 0xffc0) == mxcsr;
}

static void hold_vectors(struct env *e, struct thread *t, seL4_Word seed)
{
    struct vectors mine, seen;
    bool ymm = has_ymm();
    uint32_t mxcsr = 0x1f80 | (uint32_t)(seed & 3) << 13;

    (void)e;
    fill(&mine, seed, ymm);
    memset(&seen, 0, sizeof seen);
    load_vectors(&mine, ymm);
    load_x87((uint32_t)seed, mxcsr);
    for (unsigned i = 0; i < ROUNDS; i++) {
        seL4_Yield();
        store_vectors(&seen, ymm);
        t->result[0] += memcmp(&mine, &seen, sizeof mine) == 0 && x87_is((uint32_t)seed, mxcsr);
    }
}

/* Lets all threads below it run to their ends. */
static void let_others_run(struct env *e)
{
    EXPECT_OK(seL4_TCB_SetPriority(seL4_CapInitThreadTCB, seL4_CapInitThreadTCB, 1));
    EXPECT_OK(seL4_TCB_SetPriority(seL4_CapInitThreadTCB, seL4_CapInitThreadTCB, ROOT_PRIORITY));
}

TEST(vector_registers_survive_other_threads)
{
    struct thread *threads[3];

    for (unsigned i = 0; i < 3; i++) {
        threads[i] = new_thread(e, 0);
        start(threads[i], hold_vectors, 100 + i, BELOW_ROOT);
    }
    let_others_run(e);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_EQ(threads[i]->finished, 1);
        EXPECT_EQ(threads[i]->result[0], ROUNDS);
    }
}

/* As hold_vectors, but switched by the timer: for as long as the counter at ARGUMENT, which the other one works at, is
 * below its end. */
static void hold_vectors_without_yielding(struct env *e, struct thread *t, seL4_Word argument)
{
    struct thread *other = (struct thread *)argument;
    struct vectors mine, seen;
    bool ymm = has_ymm();

    (void)e;
    fill(&mine, t->tcb, ymm);
    memset(&seen, 0, sizeof seen);
    load_vectors(&mine, ymm);
    t->result[1] = 1;
    for (seL4_Word i = 0; i < 2000000 && t->result[2] < 3; i++) {
        seL4_Word before = other->result[3];
        t->result[3]++;
        store_vectors(&seen, ymm);
        if (memcmp(&mine, &seen, sizeof mine) != 0)
            t->result[1] = 0;
        t->result[2] += other->result[3] != before; /* was interrupted just now */
    }
}

TEST(vector_registers_survive_preemption)
{
    struct thread *a = new_thread(e, 0), *b = new_thread(e, 0);

    start(a, hold_vectors_without_yielding, (seL4_Word)b, BELOW_ROOT);
    start(b, hold_vectors_without_yielding, (seL4_Word)a, BELOW_ROOT);
    let_others_run(e);
    EXPECT_EQ(a->finished, 1);
    EXPECT_EQ(b->finished, 1);
    EXPECT_EQ(a->result[1], 1);
    EXPECT_EQ(b->result[1], 1);
}

static void look_at_fresh_state(struct env *e, struct thread *t, seL4_Word argument)
{
    struct vectors seen, zero;
    uint32_t mxcsr;
    uint16_t control;

    (void)e;
    (void)argument;
    memset(&seen, 0xee, sizeof seen);
    memset(&zero, 0, sizeof zero);
    if (!has_ymm())
        memset(&seen, 0, sizeof seen);
    store_vectors(&seen, has_ymm());
    __asm__ volatile("fnstcw %0; stmxcsr %1" : "=m"(control), "=m"(mxcsr));
    t->result[0] = memcmp(&seen, &zero, sizeof seen) == 0;
    t->result[1] = control;
    t->result[2] = mxcsr;
}

TEST(new_thread_sees_nothing_of_others_in_vector_registers)
{
    struct thread *dirty = new_thread(e, 0), *fresh = new_thread(e, 0);

    start(dirty, hold_vectors, 1, BELOW_ROOT);
    let_others_run(e);
    start(fresh, look_at_fresh_state, 0, ABOVE_ROOT);
    EXPECT_EQ(fresh->result[0], 1);
    EXPECT_EQ(fresh->result[1], 0x37f);
    EXPECT_EQ(fresh->result[2], 0x1f80);
}

static void use_vectors_when_told(struct env *e, struct thread *t, seL4_Word endpoint)
{
    struct vectors mine, seen;

    (void)e;
    fill(&mine, 5, false);
    memset(&seen, 0, sizeof seen);
    load_vectors(&mine, false);
    t->result[0] = 1;
    seL4_Recv(endpoint, NULL);
    store_vectors(&seen, false);
    t->result[1] = memcmp(&mine, &seen, sizeof mine) == 0;
}

TEST(thread_without_fpu_faults_and_keeps_its_state)
{
    seL4_CPtr faults = new_object(e, seL4_EndpointObject, 0), go = new_object(e, seL4_EndpointObject, 0);
    struct thread *t = new_thread(e, badged(e, faults, 9)), *other = new_thread(e, 0);
    seL4_Word badge;

    start(t, use_vectors_when_told, go, ABOVE_ROOT);
    EXPECT_EQ(t->result[0], 1);
    EXPECT_EQ(seL4_TCB_SetFlags(t->tcb, 0, seL4_TCBFlag_fpuDisabled).flags, seL4_TCBFlag_fpuDisabled);
    start(other, hold_vectors, 1, BELOW_ROOT);
    let_others_run(e);
    seL4_NBSend(go, seL4_MessageInfo_new(0, 0, 0, 0));
    seL4_MessageInfo_t info = seL4_NBRecv(faults, &badge);
    EXPECT_EQ(badge, 9);
    EXPECT_EQ(seL4_MessageInfo_get_label(info), seL4_Fault_UserException);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 7);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Code), 0);
    EXPECT_EQ(seL4_TCB_SetFlags(t->tcb, seL4_TCBFlag_fpuDisabled, 0).flags, 0);
    /* An answer with nothing in it leaves the registers and does the instruction again. */
    seL4_Reply(seL4_MessageInfo_new(0, 0, 0, 0));
    EXPECT_EQ(t->finished, 1);
    EXPECT_EQ(t->result[1], 1);
}


static void divide_by_zero(struct env *e, struct thread *t, seL4_Word sse)
{
    static const uint32_t unmasked = 0x1f80 & ~0x200u;
    static const uint16_t control = 0x37f & ~4;

    (void)e;
    t->result[0] = 1;
    if (sse)
        __asm__ volatile("ldmxcsr %0; pxor %%xmm0, %%xmm0; pcmpeqd %%xmm1, %%xmm1; cvtdq2ps %%xmm1, %%xmm1; "
                         "divps %%xmm0, %%xmm1" : : "m"(unmasked));
    else
        __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait" : : "m"(control));
    t->result[0] = 2;
}

TEST(unmasked_x87_exceptions_are_exception_16)
{
    seL4_CPtr faults = new_object(e, seL4_EndpointObject, 0);
    struct thread *t = new_thread(e, badged(e, faults, 7));
    seL4_Word badge;

    start(t, divide_by_zero, 0, ABOVE_ROOT);
    EXPECT_EQ(t->result[0], 1);
    seL4_NBRecv(faults, &badge);
    EXPECT_EQ(badge, 7);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), 16);
}

TEST(unmasked_sse_exceptions_are_exception_19)
{
    /* Upstream's kernel does not say (CR4.OSXMMEXCPT) that it knows of them: then they are invalid instructions. */
    seL4_Word number = e->is_ours ? 19 : 6;
    seL4_CPtr faults = new_object(e, seL4_EndpointObject, 0);
    struct thread *t = new_thread(e, badged(e, faults, 7));
    seL4_Word badge;
    uint32_t a = 0x40000000, b, c, d;

    start(t, divide_by_zero, 1, ABOVE_ROOT);
    __asm__("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    if (t->result[0] == 2 && b == 0x54474354) /* "TCGT" */
        skip(e, "QEMU's own processor does not raise them");
    EXPECT_EQ(t->result[0], 1);
    seL4_NBRecv(faults, &badge);
    EXPECT_EQ(badge, 7);
    EXPECT_EQ(seL4_GetMR(seL4_UserException_Number), number);
}
