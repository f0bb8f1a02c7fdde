#include "vmm/faults.h"

bool fault_register(struct fault_router *router, enum vcpu_exit_kind kind, uint8_t priority, fault_handler *handler,
                    void *context)
{
    if ((unsigned)kind >= VCPU_EXIT_KIND_COUNT || router->count[kind] == FAULT_HANDLERS_MAX)
        return false;

    unsigned place = router->count[kind]++;
    for (; place > 0 && router->entry[kind][place - 1].priority < priority; place--)
        router->entry[kind][place] = router->entry[kind][place - 1];
    router->entry[kind][place].handler = handler;
    router->entry[kind][place].context = context;
    router->entry[kind][place].priority = priority;
    return true;
}

void fault_unregister(struct fault_router *router, enum vcpu_exit_kind kind, fault_handler *handler, void *context)
{
    unsigned kept = 0;

    if ((unsigned)kind >= VCPU_EXIT_KIND_COUNT)
        return;
    for (unsigned i = 0; i < router->count[kind]; i++)
        if (router->entry[kind][i].handler != handler || router->entry[kind][i].context != context)
            router->entry[kind][kept++] = router->entry[kind][i];
    router->count[kind] = (uint8_t)kept;
}

enum fault_result fault_route(struct fault_router *router, const struct vcpu_exit *exit)
{
    if ((unsigned)exit->kind >= VCPU_EXIT_KIND_COUNT)
        return FAULT_PASS;
    for (unsigned i = 0; i < router->count[exit->kind]; i++) {
        enum fault_result result = router->entry[exit->kind][i].handler(router->entry[exit->kind][i].context, exit);

        if (result != FAULT_PASS)
            return result;
    }
    return FAULT_PASS;
}
