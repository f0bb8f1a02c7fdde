/* Page faults of the guest's thread. Pure. */
#pragma once

#include "vmm/pv/pv.h"

enum pv_outcome {
    PV_GO_ON,    /* the guest can, perhaps with the exception that the vcpu has pending */
    PV_EXIT,     /* *EXIT is to be handled */
    PV_SHUTDOWN, /* triple fault */
};

/* The guest cannot go on, for the reason in pv->problem. */
__attribute__((format(printf, 3, 4)))
enum pv_outcome pv_give_up(struct pv *pv, struct vcpu_exit *exit, const char *format, ...);

/* What decides about translations at this moment. */
struct shadow_state pv_shadow_state(struct pv *pv);

/* The thread has accessed ADDRESS, with ERROR as the processor says. */
enum pv_outcome pv_page_fault(struct pv *pv, uint64_t address, uint32_t error, struct vcpu_exit *exit);
