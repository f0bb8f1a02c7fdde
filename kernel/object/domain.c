/* With a single domain there is nothing to change, so that checking is all there is to do: the schedule's one entry
 * may be given any duration but none, and its start cannot be moved. */
#include <object/domain.h>

#include <core/scheduler.h>

#define SCHEDULE_ENTRIES (CONFIG_NUM_DOMAIN_SCHEDULES - 1u) /* the last one ends the schedule */
#define DURATION_BITS    56

static_assert(CONFIG_NUM_DOMAINS == 1 && SCHEDULE_ENTRIES == 1, "there is no state to keep");

static void set_domain(struct invocation *call)
{
    if (call->length < 1) {
        fail(call, seL4_TruncatedMessage);
    } else if (argument(call, 0) >= CONFIG_NUM_DOMAINS) {
        fail_argument(call, 0);
    } else if (!has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
    } else if (call->extra[0]->cap.type != CAP_THREAD) {
        fail_argument(call, 1);
    } else {
        struct tcb *thread = cap_object(call->extra[0]->cap);

        /* It goes to the front of its queue, as it does where there are several domains. */
        ready_remove(thread);
        if (thread_is_runnable(thread))
            ready_prepend(thread);
        if (thread == call->cpu->current)
            schedule_required(call->cpu);
    }
}

static void configure_schedule(struct invocation *call)
{
    if (call->length < 3) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint64_t duration = argument(call, 2);
    if (argument(call, 0) >= SCHEDULE_ENTRIES)
        fail_range(call, 0, SCHEDULE_ENTRIES - 1);
    else if (argument(call, 1) >= CONFIG_NUM_DOMAINS)
        fail_range(call, 0, CONFIG_NUM_DOMAINS - 1);
    else if (duration == 0 || duration >> DURATION_BITS)
        fail_argument(call, 2);
}

static void set_start(struct invocation *call)
{
    if (call->length < 1)
        fail(call, seL4_TruncatedMessage);
    else if (argument(call, 0) > SCHEDULE_ENTRIES)
        fail_range(call, 0, SCHEDULE_ENTRIES);
    else if (argument(call, 0) == SCHEDULE_ENTRIES)
        fail_argument(call, 0);
    else
        schedule_required(call->cpu);
}

void domain_invoke(struct invocation *call)
{
    switch (call->label) {
    case DomainSetSet:
        set_domain(call);
        break;
    case DomainScheduleConfigure:
        configure_schedule(call);
        break;
    case DomainScheduleSetStart:
        set_start(call);
        break;
    default:
        fail(call, seL4_IllegalOperation);
        break;
    }
}
