/* Exits on their way to whoever handles them: for each kind, handlers by priority. Pure. */
#pragma once

#include "algorithms/vcpu.h"

#include <stdbool.h>
#include <stdint.h>

enum fault_result {
    FAULT_HANDLED, /* the guest can go on */
    FAULT_PASS,    /* not mine: ask the next one */
    FAULT_STOP,    /* the guest cannot go on; the handler has said why */
};

typedef enum fault_result fault_handler(void *context, const struct vcpu_exit *exit);

#define FAULT_HANDLERS_MAX 4u

struct fault_router {
    uint8_t count[VCPU_EXIT_KIND_COUNT];
    struct {
        fault_handler *handler;
        void *context;
        uint8_t priority;
    } entry[VCPU_EXIT_KIND_COUNT][FAULT_HANDLERS_MAX];
};

/* PRIORITY: 0 to 255, the highest is asked first, among equals the one that was there first; 128 is usual. False: too
 * many handlers. */
bool fault_register(struct fault_router *router, enum vcpu_exit_kind kind, uint8_t priority, fault_handler *handler,
                    void *context);

void fault_unregister(struct fault_router *router, enum vcpu_exit_kind kind, fault_handler *handler, void *context);

/* FAULT_PASS: nobody wanted it. */
enum fault_result fault_route(struct fault_router *router, const struct vcpu_exit *exit);
