/* timeserver: a one-shot timer for each client, on channel 0 of the PIT. */
#include "ipc/time.h"
#include "runtime/runtime.h"
#include "timeserver/schedule.h"

/* Channel 0, low byte then high byte, mode 0: the output, and with it the interrupt, rises when the count ends. */
#define PIT_COMMAND_PORT 0x43u
#define PIT_CHANNEL_PORT 0x40u
#define PIT_ONE_SHOT     0x30u

struct timeserver {
    uint64_t tsc_hz;
    struct schedule schedule;
};

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static void set_pit(uint16_t count)
{
    seL4_X86_IOPort_Out8(SLOT_TIME_PIT_PORTS, PIT_COMMAND_PORT, PIT_ONE_SHOT);
    seL4_X86_IOPort_Out8(SLOT_TIME_PIT_PORTS, PIT_CHANNEL_PORT, count & 0xff);
    seL4_X86_IOPort_Out8(SLOT_TIME_PIT_PORTS, PIT_CHANNEL_PORT, count >> 8);
}

/* Wakes everyone whose time has come and sets the PIT for the next one. */
static void run_schedule(struct timeserver *server)
{
    uint64_t now = read_tsc(), deadline;
    unsigned client;

    /* Not seL4_Signal: a client may be gone, and its capability with it. */
    while (schedule_take_due(&server->schedule, now, &client))
        seL4_NBSend(SLOT_TIME_CLIENT_NOTIFY + client, seL4_MessageInfo_new(0, 0, 0, 0));
    if (schedule_next(&server->schedule, &deadline))
        set_pit(schedule_pit_count(now, deadline, server->tsc_hz));
}

static enum time_status serve(struct timeserver *server, uint64_t badge, seL4_MessageInfo_t request, uint64_t argument)
{
    uint64_t client = badge - TIME_CLIENT_BADGE;
    uint64_t earliest_before = 0, earliest = 0;

    if (client >= SCHEDULE_CLIENTS)
        return TIME_DENIED;
    bool any_before = schedule_next(&server->schedule, &earliest_before);
    switch (seL4_MessageInfo_get_label(request)) {
    case TIME_ARM:
        if (seL4_MessageInfo_get_length(request) < 1)
            return TIME_INVALID;
        schedule_arm(&server->schedule, (unsigned)client, argument);
        break;
    case TIME_CANCEL:
        schedule_cancel(&server->schedule, (unsigned)client);
        break;
    default:
        return TIME_INVALID;
    }
    /* A PIT that is set too early costs one interrupt; only an earlier deadline needs it set anew. */
    if (schedule_next(&server->schedule, &earliest) && (!any_before || earliest < earliest_before))
        run_schedule(server);
    return TIME_OK;
}

void service_main(const struct startup *startup)
{
    struct timeserver server = { .tsc_hz = startup->tsc_hz };
    seL4_Word badge, argument = 0;

    if (server.tsc_hz == 0)
        panic("init gave no frequency of the time-stamp counter");
    seL4_IRQHandler_Ack(SLOT_TIME_PIT_IRQ);
    seL4_MessageInfo_t request = seL4_RecvWithMRs(SLOT_TIME_RECEIVE, &badge, &argument, NULL, NULL, NULL);
    for (;;) {
        if (badge & TIME_CLIENT_BADGE) {
            enum time_status status = serve(&server, badge, request, argument);
            request = seL4_ReplyRecvWithMRs(SLOT_TIME_RECEIVE, seL4_MessageInfo_new(status, 0, 0, 0), &badge,
                                            &argument, NULL, NULL, NULL);
        } else {
            /* Acknowledged first: an edge that comes while the pin is masked would be lost. */
            seL4_IRQHandler_Ack(SLOT_TIME_PIT_IRQ);
            run_schedule(&server);
            request = seL4_RecvWithMRs(SLOT_TIME_RECEIVE, &badge, &argument, NULL, NULL, NULL);
        }
    }
}
