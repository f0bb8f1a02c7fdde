#include "vmmserver/pv.h"

#include "ipc/slots.h"
#include "runtime/runtime.h"

#include <sel4/beaml4.h>
#include <stdio.h>
#include <stdlib.h>

#define PHYSICAL_BITS_MAX 52u

static bool make(void *context, uint64_t type, uint64_t slot)
{
    return objects_make_in(context, type, seL4_PageBits, slot);
}

static void *allocate(uint64_t bytes)
{
    return calloc(1, bytes);
}

/* CPUID leaf 80000008H, EAX bits 7 to 0. Where there is no such leaf, no bit is known to be reserved. */
static unsigned physical_bits(const struct monitor *monitor)
{
    unsigned bits = cpuid_answer(&monitor->cpuid, &monitor->cpuid_guest, 0x80000008, 0).eax & 0xff;

    return bits ? bits : PHYSICAL_BITS_MAX;
}

static bool make_thread_parts(struct objects *objects, struct pv_thread_parts *parts)
{
    return objects_make(objects, seL4_TCBObject, seL4_TCBBits, &parts->tcb) &&
           objects_make(objects, seL4_EndpointObject, seL4_EndpointBits, &parts->endpoint) &&
           objects_make(objects, seL4_CapTableObject, PV_FAULT_CNODE_BITS + seL4_SlotBits, &parts->cnode);
}

static bool take_slots(struct objects *objects, struct mapping_source *source)
{
    objects_expect(objects, MAPPING_TABLE_SLOTS);
    if (!objects_take_slots(objects, MAPPING_TABLE_SLOTS, &source->table_slot))
        return false;
    objects_expect(objects, source->limits.pages);
    return objects_take_slots(objects, source->limits.pages, &source->page_slot);
}

const char *pv_create(struct pv *pv, struct monitor *monitor, struct objects *objects, const struct ram *ram,
                      const struct vm_config *config, uint32_t features)
{
    struct pv_parts parts = {
        .memory = &monitor->machine.memory,
        .bus = &monitor->machine.bus,
        .thread = {
            .own_cnode = SLOT_ROOT_CNODE,
            .authority = SLOT_TCB,
            .priority = config->priority,
            .name = config->name,
        },
        .mapping = {
            .context = objects,
            .make = make,
            .asid_pool = SLOT_VM_ASID_POOL,
            .frame = ram->frame,
            .memory = &monitor->machine.memory,
            .high_half = features & SEL4_BEAML4_HIGH_HALF,
            .limits = shadow_default_limits,
        },
        .allocate = allocate,
        .physical_bits = physical_bits(monitor),
    };

    if (!make_thread_parts(objects, &parts.thread) || !take_slots(objects, &parts.mapping))
        return "no memory for its virtual CPU and page tables";
    return pv_init(pv, &monitor->vcpu, &parts);
}

static void log_patches(const struct patch_report *report)
{
    char line[160];
    int length = 0;

    for (unsigned kind = 0; kind < PATCH_KIND_COUNT; kind++)
        if (report->count[kind] != 0 && length >= 0 && (size_t)length < sizeof line)
            length += snprintf(line + length, sizeof line - (size_t)length, " %s %lu", patch_kind_name(kind),
                               report->count[kind]);
    log_printf("PV: patched%s; %lu could not be", length ? line : " nothing", report->failures);
    for (unsigned i = 0; i < report->failures && i < PATCH_FAILURES_KEPT; i++)
        log_printf("PV: not patched: %s at %lx", patch_kind_name(report->failure[i].kind), report->failure[i].address);
}

const char *pv_load(struct pv *pv, const struct startup_file *kernel, char *message, size_t size)
{
    struct patch_report report = { 0 };
    const char *problem;

    if ((problem = pv_patch_kernel(pv, kernel->bytes, kernel->length, &report)))
        return problem;
    log_patches(&report);
    if (report.isolation == 0)
        return NULL;
    snprintf(message, size, "its kernel has %lu instructions, the first at %lx, by which its programs could run with "
             "its memory, and which cannot be patched", report.isolation, report.failure[0].address);
    return message;
}
