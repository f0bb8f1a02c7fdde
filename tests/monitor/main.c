/* A stand-in for vmmserver that runs no guest: tests pack it as `vmmserver` to see what a monitor can do to others.
 * What it does stands in its VM's command line. */
#include "ipc/hypervisor.h"
#include "ipc/time.h"
#include "runtime/runtime.h"
#include "tests/monitor/timers.h"
#include "tests/monitor/virtio.h"

#include <stdbool.h>
#include <string.h>

#define SLOTS 4096u /* of the static CNode */

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static void sleep_ms(const struct startup *startup, unsigned ms)
{
    seL4_Word badge = 0;

    time_arm(SLOT_TIME, read_tsc() + startup->tsc_hz / 1000 * ms);
    while (!(badge & NOTIFY_TIMER))
        seL4_Wait(SLOT_NOTIFICATION, &badge);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Well-behaved: runs for a second and a bit, and then ends. */
static void witness(const struct startup *startup)
{
    uint64_t begin = read_tsc();

    for (int i = 0; i < 5; i++) {
        sleep_ms(startup, 250);
        log_printf("witness %d", i);
    }
    log_printf("witness took %lu ms", (read_tsc() - begin) / (startup->tsc_hz / 1000));
}

/* The same without end. */
static void heartbeat(const struct startup *startup)
{
    for (unsigned i = 0;; i++) {
        sleep_ms(startup, 250);
        log_printf("heart %u", i);
    }
}

/* Its guest prints without end what it has heard last; a 'q' ends it. */
static void chatter(const struct startup *startup)
{
    char line[] = "chatter .\r\n";

    for (;;) {
        if (ring_waiting(startup->console_output) == 0) {
            ring_write(startup->console_output, line, sizeof line - 1);
            seL4_Signal(SLOT_LOG_NOTIFY);
        }
        if (ring_read(startup->console_input, &line[8], 1) == 1 && line[8] == 'q')
            return;
        seL4_Yield();
    }
}

/* Requests that there are not, with every length and with capabilities, to everyone that can be asked. */
static void babble(const struct startup *startup)
{
    uint64_t random = read_tsc() | 1;

    (void)startup;
    for (unsigned i = 0; i < 3000; i++) {
        seL4_CPtr to = i % 3 == 0 ? SLOT_TIME : SLOT_HYPERVISOR;
        seL4_Word label = next_random(&random) % 4 ? next_random(&random) : HV_VM_RUNNING;
        bool own = label >= HV_VM_POWERED_OFF && label <= HV_VM_CRASHED;

        for (int word = 0; word < seL4_MsgMaxLength; word++)
            seL4_SetMR(word, next_random(&random));
        seL4_SetCap(0, SLOT_TCB);
        seL4_SetCap(1, SLOT_VSPACE);
        if (!own)
            seL4_Call(to, seL4_MessageInfo_new(label, 0, i % 3, i % (seL4_MsgMaxLength + 1)));
    }
    /* Without waiting for an answer, which then comes to no one. */
    for (unsigned i = 0; i < 1000; i++)
        seL4_Send(SLOT_HYPERVISOR, seL4_MessageInfo_new(0x7777, 0, 0, 0));
}

/* A hundred thousand requests to each endpoint that it has, of all lengths, half of them with labels that there are, and
 * with capabilities of its own. What would end its own VM is left out. */
static void babble_long(const struct startup *startup)
{
    static const seL4_CPtr given[] = { SLOT_TCB, SLOT_VSPACE, SLOT_NOTIFICATION, SLOT_TIME, SLOT_VM_UNTYPED, SLOT_NULL };
    uint64_t random = read_tsc() | 1;

    (void)startup;
    for (unsigned i = 0; i < 200000; i++) {
        bool to_time = i % 2;
        seL4_Word label = next_random(&random);

        if (label & 1)
            label = to_time ? TIME_ARM - 1 + label % 7 : HV_VM_RUNNING - 1 + (label >> 8) % 10;
        if (!to_time && label >= HV_VM_POWERED_OFF && label <= HV_VM_CRASHED)
            label = 0;
        for (int word = 0; word < 8; word++)
            seL4_SetMR(word, next_random(&random) % 5 ? next_random(&random) % 8 : next_random(&random));
        for (unsigned n = 0; n < 3; n++)
            seL4_SetCap(n, given[next_random(&random) % 6]);
        seL4_Call(to_time ? SLOT_TIME : SLOT_HYPERVISOR,
                  seL4_MessageInfo_new(label, 0, next_random(&random) % 4,
                                       next_random(&random) % 2 ? next_random(&random) % 4
                                                                : next_random(&random) % (seL4_MsgMaxLength + 1)));
        seL4_NBSend(SLOT_LOG_NOTIFY, seL4_MessageInfo_new(label, 0, 0, 0));
    }
    log_printf("babbled");
}

/* Log lines without end, as fast as it can. */
static void flood_log(const struct startup *startup)
{
    (void)startup;
    for (unsigned i = 0;; i++)
        log_printf("flood %u: a line that is as long as lines of a log are, so that the terminal has something to do", i);
}

/* Nonsense in everything that it shares with logserver. */
static void scribble(const struct startup *startup)
{
    struct byte_ring *ring[3] = { startup->log, startup->console_output, startup->console_input };
    uint64_t random = read_tsc() | 1;

    for (unsigned round = 0; round < 300; round++) {
        for (unsigned i = 0; i < 3; i++) {
            uint32_t *word = (uint32_t *)ring[i];
            for (unsigned n = 0; n < sizeof(struct byte_ring) / sizeof *word; n += 1 + round % 7)
                word[n] = (uint32_t)next_random(&random) | (round % 2 ? 0x80000000u : 0);
        }
        seL4_Signal(SLOT_LOG_NOTIFY);
    }
    for (unsigned i = 0; i < 3; i++) /* no text in them that a terminal would mind */
        memset(ring[i], 0, sizeof *ring[i]);
}

/* Makes objects out of all its memory, of kinds that hold each other, until nothing is left of memory or slots. */
static void hoard(const struct startup *startup)
{
    static const struct { seL4_Word type, bits; } kind[] = {
        { seL4_CapTableObject, 6 }, { seL4_TCBObject, 0 }, { seL4_EndpointObject, 0 }, { seL4_X86_4K, 0 },
        { seL4_UntypedObject, 14 }, { seL4_X86_PageTableObject, 0 }, { seL4_NotificationObject, 0 },
    };
    unsigned slot = startup->first_free_slot, made = 0;

    for (unsigned i = 0; slot < SLOTS && i < 4000; i++) {
        unsigned from = i % startup->vm.untyped_count;
        unsigned k = i % (sizeof kind / sizeof kind[0]);
        if (seL4_Untyped_Retype(startup->vm.untyped[from].slot, kind[k].type, kind[k].bits, SLOT_ROOT_CNODE, 0, 32,
                                slot, 1) != seL4_NoError)
            continue;
        made++;
        /* A CNode that holds itself and the monitor's own CNodes and thread. */
        if (kind[k].type == seL4_CapTableObject) {
            seL4_CNode_Copy(slot, 0, 6, SLOT_STATIC_CNODE, slot, 32, seL4_AllRights);
            seL4_CNode_Copy(slot, 1, 6, SLOT_STATIC_CNODE, SLOT_STATIC_CNODE, 32, seL4_AllRights);
            seL4_CNode_Copy(slot, 2, 6, SLOT_STATIC_CNODE, SLOT_TCB, 32, seL4_AllRights);
        }
        slot++;
    }
    log_printf("hoarded %u objects", made);
}

/* Throws away every capability that it has, and then has nothing to fault to. */
static void throw_away(const struct startup *startup)
{
    (void)startup;
    for (unsigned slot = 1; slot < SLOTS; slot++)
        if (slot != SLOT_STATIC_CNODE)
            seL4_CNode_Delete(SLOT_STATIC_CNODE, slot, 32);
    seL4_CNode_Delete(SLOT_STATIC_CNODE, SLOT_STATIC_CNODE, 32);
    *(volatile int *)0 = 1;
}

static void spin(const struct startup *startup)
{
    (void)startup;
    for (;;)
        __asm__ volatile("pause");
}

static void write_null(const struct startup *startup)
{
    (void)startup;
    *(volatile int *)0 = 1;
}

static void overflow_stack(const struct startup *startup)
{
    (void)startup;
    *(volatile char *)(SERVICE_STACK_TOP - SERVICE_STACK_SIZE - 8) = 1;
}

static void write_code(const struct startup *startup)
{
    (void)startup;
    *(volatile char *)SERVICE_BASE = 1;
}

static void write_startup(const struct startup *startup)
{
    *(volatile uint64_t *)(uintptr_t)startup = 0;
}

static void call_linux(const struct startup *startup)
{
    (void)startup;
    __asm__ volatile("movq %%rsp, %%rbx; syscall" : : "a"(60), "d"(60) : "rbx", "rcx", "r11");
}

static void end_in_panic(const struct startup *startup)
{
    (void)startup;
    panic("as asked");
}

void service_main(const struct startup *startup)
{
    static const struct {
        const char *name;
        void (*run)(const struct startup *startup);
    } behaviour[] = {
        { "witness", witness },       { "heartbeat", heartbeat },   { "chatter", chatter },       { "babble", babble },
        { "scribble", scribble },     { "hoard", hoard },           { "throw away", throw_away },
        { "spin", spin },
        { "write null", write_null }, { "write code", write_code }, { "write startup", write_startup },
        { "babble long", babble_long }, { "log flood", flood_log },
        { "timers", use_many_timers }, { "timer flood", flood_timers }, { "timer error", measure_timer_error },
        { "torment virtio", torment_virtio }, { "take memory back", take_memory_back },
        { "panic", end_in_panic },    { "call linux", call_linux }, { "overflow stack", overflow_stack },
    };

    hypervisor_call(SLOT_HYPERVISOR, HV_VM_RUNNING);
    for (unsigned i = 0; i < sizeof behaviour / sizeof behaviour[0]; i++)
        if (strcmp(startup->vm.config->cmdline, behaviour[i].name) == 0)
            behaviour[i].run(startup);
    hypervisor_call(SLOT_HYPERVISOR, HV_VM_POWERED_OFF);
}
