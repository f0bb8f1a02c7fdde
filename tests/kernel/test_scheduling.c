/* Who runs: priorities, time slices, yielding. */
#include "tests/kernel/harness.h"

#include <string.h>

/* What threads did, in order, one letter each. */
static char order[64];
static volatile unsigned order_length;

static void mark(char letter)
{
    if (order_length + 1 < sizeof order)
        order[order_length++] = letter;
}

static void new_order(void)
{
    memset(order, 0, sizeof order);
    order_length = 0;
}

#define EXPECT_ORDER(wanted)                                                                        \
    do {                                                                                            \
        if (strcmp(order, wanted) != 0)                                                             \
            fail(e, __FILE__, __LINE__, "the order was \"%s\", not \"%s\"", order, wanted);         \
    } while (0)

static void set_own_priority(struct env *e, seL4_Word priority)
{
    EXPECT_OK(seL4_TCB_SetPriority(seL4_CapInitThreadTCB, seL4_CapInitThreadTCB, priority));
}

/* Lets all threads with at least that priority run until they block. */
static void let_run(struct env *e, seL4_Word priority)
{
    set_own_priority(e, priority - 1);
    set_own_priority(e, ROOT_PRIORITY);
}

static void mark_once(struct env *e, struct thread *t, seL4_Word letter)
{
    (void)e;
    (void)t;
    mark((char)letter);
}

static void mark_three_times(struct env *e, struct thread *t, seL4_Word letter)
{
    (void)e;
    (void)t;
    for (int i = 0; i < 3; i++) {
        mark((char)letter);
        seL4_Yield();
    }
}

TEST(more_important_threads_run_first)
{
    new_order();
    start(new_thread(e, 0), mark_once, 'a', 10);
    start(new_thread(e, 0), mark_once, 'c', 12);
    start(new_thread(e, 0), mark_once, 'b', 11);
    mark('r');
    start(new_thread(e, 0), mark_once, 'z', 255);
    let_run(e, 10);
    EXPECT_ORDER("rzcba");
}

TEST(equal_thread_waits_for_its_turn)
{
    new_order();
    start(new_thread(e, 0), mark_once, 'a', ROOT_PRIORITY);
    mark('r');
    seL4_Yield();
    mark('r');
    EXPECT_ORDER("rar");
}

TEST(yielding_threads_take_turns)
{
    new_order();
    start(new_thread(e, 0), mark_three_times, 'a', 50);
    start(new_thread(e, 0), mark_three_times, 'b', 50);
    start(new_thread(e, 0), mark_three_times, 'c', 50);
    let_run(e, 50);
    EXPECT_ORDER("cbacbacba");
}

TEST(yield_does_not_let_lower_threads_run)
{
    new_order();
    start(new_thread(e, 0), mark_once, 'a', BELOW_ROOT);
    seL4_Yield();
    seL4_Yield();
    mark('r');
    let_run(e, BELOW_ROOT);
    EXPECT_ORDER("ra");
}

static void raise_other(struct env *e, struct thread *t, seL4_Word other)
{
    (void)e;
    (void)t;
    mark('1');
    seL4_TCB_SetPriority(other, seL4_CapInitThreadTCB, ABOVE_ROOT + 10);
    mark('2');
}

TEST(raised_thread_runs_at_once_and_lowered_one_stops)
{
    struct thread *low = new_thread(e, 0);

    new_order();
    start(low, mark_once, 'a', 10);
    start(new_thread(e, 0), raise_other, low->tcb, ABOVE_ROOT);
    EXPECT_ORDER("1a2");

    new_order();
    start(new_thread(e, 0), mark_once, 'b', BELOW_ROOT);
    mark('r');
    set_own_priority(e, BELOW_ROOT - 1);
    mark('r');
    set_own_priority(e, ROOT_PRIORITY);
    EXPECT_ORDER("rbr");
}

TEST(ready_thread_moves_to_the_queue_of_its_new_priority)
{
    struct thread *a = new_thread(e, 0), *b = new_thread(e, 0);

    new_order();
    start(a, mark_once, 'a', 10);
    start(b, mark_once, 'b', 20);
    EXPECT_OK(seL4_TCB_SetPriority(a->tcb, seL4_CapInitThreadTCB, 30));
    EXPECT_OK(seL4_TCB_SetPriority(b->tcb, seL4_CapInitThreadTCB, 25));
    let_run(e, 5);
    EXPECT_ORDER("ab");
}

TEST(suspended_thread_is_in_no_queue)
{
    struct thread *a = new_thread(e, 0);

    new_order();
    start(a, mark_once, 'a', BELOW_ROOT);
    EXPECT_OK(seL4_TCB_Suspend(a->tcb));
    let_run(e, BELOW_ROOT);
    EXPECT_ORDER("");
    EXPECT_OK(seL4_TCB_Resume(a->tcb));
    EXPECT_OK(seL4_TCB_Resume(a->tcb));
    let_run(e, BELOW_ROOT);
    EXPECT_ORDER("a");
}

/* Counts until the other thread, whose counter is at ARGUMENT, has been seen to move five times. */
static void count_against(struct env *e, struct thread *t, seL4_Word argument)
{
    const volatile seL4_Word *other = (const volatile seL4_Word *)argument;
    seL4_Word last = 0;

    (void)e;
    for (seL4_Word i = 0; i < 300000000 && t->result[1] < 5; i++) {
        t->result[0]++;
        if (*other != last) {
            last = *other;
            t->result[1]++;
        }
    }
}

TEST(time_slices_let_equal_threads_share_the_processor)
{
    struct thread *a = new_thread(e, 0), *b = new_thread(e, 0);

    start(a, count_against, (seL4_Word)&b->result[0], BELOW_ROOT);
    start(b, count_against, (seL4_Word)&a->result[0], BELOW_ROOT);
    let_run(e, BELOW_ROOT);
    EXPECT_EQ(a->finished, 1);
    EXPECT_EQ(b->finished, 1);
    EXPECT(a->result[1] >= 4);
    EXPECT(b->result[1] >= 4);
}

static void signal_when_run(struct env *e, struct thread *t, seL4_Word notification)
{
    (void)e;
    (void)t;
    mark('l');
    seL4_Signal(notification);
    mark('m');
}

TEST(signal_to_a_more_important_thread_takes_the_processor)
{
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0);

    new_order();
    start(new_thread(e, 0), signal_when_run, notification, BELOW_ROOT);
    seL4_Wait(notification, NULL);
    mark('r');
    EXPECT_ORDER("lr");
    let_run(e, BELOW_ROOT);
    EXPECT_ORDER("lrm");
}

TEST(signal_to_an_equal_thread_does_not_take_the_processor)
{
    seL4_CPtr notification = new_object(e, seL4_NotificationObject, 0);

    new_order();
    start(new_thread(e, 0), signal_when_run, notification, ROOT_PRIORITY);
    seL4_Wait(notification, NULL);
    mark('r');
    EXPECT_ORDER("lmr");
}

static void delete_thread(struct env *e, struct thread *t, seL4_Word other)
{
    (void)e;
    (void)t;
    mark('d');
    seL4_CNode_Delete(ROOT, other, ROOT_DEPTH);
    mark('e');
}

TEST(deleted_thread_never_runs_again)
{
    struct thread *victim = new_thread(e, 0);

    new_order();
    start(victim, mark_once, 'v', 10);
    start(new_thread(e, 0), delete_thread, victim->tcb, ABOVE_ROOT);
    let_run(e, 5);
    EXPECT_ORDER("de");
}

TEST(time_slice_of_a_lone_thread_does_not_end_it)
{
    struct thread *a = new_thread(e, 0);

    start(a, count_against, (seL4_Word)&a->result[0], BELOW_ROOT);
    let_run(e, BELOW_ROOT);
    EXPECT_EQ(a->finished, 1);
    EXPECT_EQ(a->result[1], 5);
}
