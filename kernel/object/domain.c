/* seL4 reference manual, 6.3 (domains). With one domain its schedule is a single entry that always runs, and the end mark
 * behind it; so all that is left of the invocations is what they refuse. */
#include <object/domain.h>

#include <core/scheduler.h>

static_assert(CONFIG_NUM_DOMAINS == 1, "several would have to be scheduled");

#define SCHEDULE_LENGTH CONFIG_NUM_DOMAIN_SCHEDULES
#define MAX_DURATION    (UINT64_MAX >> 8)

static void set_domain(struct invocation *call)
{
    if (call->length < 1) {
        fail(call, seL4_TruncatedMessage);
        return;
    }
    if (argument(call, 0) >= CONFIG_NUM_DOMAINS) {
        fail_argument(call, 0);
        return;
    }
    if (!has_extra(call, 1)) {
        fail(call, seL4_TruncatedMessage);
        return;
    }
    if (call->extra[0]->cap.type != CAP_THREAD) {
        fail_argument(call, 1);
        return;
    }

    struct tcb *thread = cap_object(call->extra[0]->cap);
    ready_remove(thread);
    if (thread_is_runnable(thread))
        ready_prepend(thread);
    if (thread == call->cpu->current)
        schedule_required(call->cpu);
}

static void configure_schedule(struct invocation *call)
{
    if (call->length < 3) {
        fail(call, seL4_TruncatedMessage);
        return;
    }

    uint64_t index = argument(call, 0), domain = argument(call, 1), duration = argument(call, 2);
    if (index >= SCHEDULE_LENGTH - 1)
        fail_range(call, 0, SCHEDULE_LENGTH - 2);
    else if (domain >= CONFIG_NUM_DOMAINS)
        fail_range(call, 0, CONFIG_NUM_DOMAINS - 1);
    else if (duration > MAX_DURATION || duration == 0)
        fail_argument(call, 2);
}

static void set_start(struct invocation *call)
{
    if (call->length < 1)
        fail(call, seL4_TruncatedMessage);
    else if (argument(call, 0) >= SCHEDULE_LENGTH)
        fail_range(call, 0, SCHEDULE_LENGTH - 1);
    else if (argument(call, 0) == SCHEDULE_LENGTH - 1)
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
    }
}
