#include "vmm/pv/fault.h"

#include "vmm/guest_walk.h"
#include "vmm/paging_bits.h"

#include <stdarg.h>
#include <stdio.h>

#define PAGE_BYTES 4096u
#define PAGE_MASK  (PAGE_BYTES - 1)

enum pv_outcome pv_give_up(struct pv *pv, struct vcpu_exit *exit, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(pv->problem, sizeof pv->problem, format, arguments);
    va_end(arguments);
    *exit = (struct vcpu_exit) { .kind = VCPU_EXIT_BAD_STATE };
    return PV_EXIT;
}

struct shadow_state pv_shadow_state(struct pv *pv)
{
    struct vcpu *vcpu = pv->vcpu;

    return (struct shadow_state) {
        .cr0 = vcpu_get(vcpu, VCPU_CR0),
        .cr3 = vcpu_get(vcpu, VCPU_CR3),
        .cr4 = vcpu_get(vcpu, VCPU_CR4),
        .efer = vcpu_get(vcpu, VCPU_EFER),
        .user = pv_cpl(vcpu) == 3,
        .rip = vcpu_get(vcpu, VCPU_RIP),
    };
}

/* The guest's page at linear ADDRESS, in *PHYSICAL; NULL: it has none there, or not in RAM. */
static uint8_t *page_at(struct pv *pv, uint64_t address, uint64_t *physical)
{
    struct walk_context walk;
    uint32_t error;

    walk_begin(&walk, pv->vcpu, pv->memory);
    if (walk_address(&walk, address & ~(uint64_t)PAGE_MASK, WALK_PRESENT, physical, &error) != WALK_OK)
        return NULL;
    return guest_memory_at(pv->memory, *physical, PAGE_BYTES);
}

/* The guest's kernel executes the page at linear ADDRESS for the first time, or for the first time after a change. */
static enum pv_outcome scan_page(struct pv *pv, uint64_t address, uint64_t physical, struct vcpu_exit *exit)
{
    uint64_t start = address & ~(uint64_t)PAGE_MASK, previous, next;
    int64_t offset = (int64_t)(vcpu_get(pv->vcpu, VCPU_RIP) - start);
    uint64_t refused = pv->patched.isolation;
    struct patch_page scan = {
        .page = guest_memory_at(pv->memory, physical & ~(uint64_t)PAGE_MASK, PAGE_BYTES),
        .previous = page_at(pv, start - PAGE_BYTES, &previous),
        .next = page_at(pv, start + PAGE_BYTES, &next),
        .address = start,
        .offset = offset > -(int)INSTRUCTION_MAX_BYTES && offset < (int)PAGE_BYTES ? (int)offset
                                                                                   : (int)(address - start),
    };

    if (!scan.page)
        return pv_give_up(pv, exit, "code at guest physical address %lx, where it has no memory", physical);
    if (scan.previous && !shadow_is_code(pv->shadow, previous))
        scan.previous = NULL;
    pv->counts.pages_scanned++;
    /* Code that goes on in the next page is looked at again together with that. */
    if (patch_page(&scan, &pv->patch_policy, &pv->patched) && scan.next && shadow_is_code(pv->shadow, next))
        shadow_written(pv->shadow, next, 1);
    shadow_set_code(pv->shadow, physical);
    if (pv->patched.isolation != refused)
        return pv_give_up(pv, exit, "code in the page at %lx cannot be kept from entering its programs with its kernel's "
                          "memory", start);
    return PV_GO_ON;
}

/* A store to a page that is kept from being written: carried out here. TABLE: it is a page table, else code. */
static enum pv_outcome carry_out_store(struct pv *pv, uint64_t physical, bool table)
{
    switch (emulate_memory_access(&pv->emulator, pv->vcpu, physical)) {
    case EMULATE_DONE:
    case EMULATE_EXCEPTION:
        pv->counts.tables_written++;
        return PV_GO_ON;
    case EMULATE_SHUTDOWN:
        return PV_SHUTDOWN;
    default:
        break;
    }
    /* An instruction that only the processor knows. */
    pv->counts.written_otherwise++;
    if (table)
        shadow_release_table(pv->shadow, physical);
    else
        shadow_release_code(pv->shadow, physical);
    return PV_GO_ON;
}

enum pv_outcome pv_page_fault(struct pv *pv, uint64_t address, uint32_t error, struct vcpu_exit *exit)
{
    struct shadow_state state = pv_shadow_state(pv);
    struct shadow_answer answer;

    if (pv->speaks_pvm && !pvm_permits(&pv->pvm, address)) {
        uint32_t seen = (error & (ERROR_WRITE | ERROR_FETCH)) | (state.user ? ERROR_USER : 0);

        return privileged_page_fault(&pv->cpu, address, seen) ? PV_GO_ON : PV_SHUTDOWN;
    }
    switch (shadow_fault(pv->shadow, &state, address, error, &answer)) {
    case SHADOW_DONE:
        return PV_GO_ON;
    case SHADOW_PAGE_FAULT:
        return privileged_page_fault(&pv->cpu, address, answer.error) ? PV_GO_ON : PV_SHUTDOWN;
    case SHADOW_DEVICE:
        *exit = (struct vcpu_exit) {
            .kind = VCPU_EXIT_MEMORY,
            .qualification = error,
            .guest_physical = answer.physical,
            .memory = {
                .read = !(error & (ERROR_WRITE | ERROR_FETCH)),
                .write = error & ERROR_WRITE,
                .execute = error & ERROR_FETCH,
            },
        };
        return PV_EXIT;
    case SHADOW_WRITE_TABLE:
        return carry_out_store(pv, answer.physical, true);
    case SHADOW_WRITE_CODE:
        return carry_out_store(pv, answer.physical, false);
    case SHADOW_EXECUTE:
        if (pv->speaks_pvm)
            shadow_release_code(pv->shadow, answer.physical);
        else if (scan_page(pv, address, answer.physical, exit) == PV_EXIT)
            return PV_EXIT;
        /* The fetch is tried again at once, which spares the guest a second fault. */
        shadow_fault(pv->shadow, &state, address, error, &answer);
        return PV_GO_ON;
    case SHADOW_UNREACHABLE:
        return pv_give_up(pv, exit, "it uses linear address %lx, which the kernel keeps for itself", address);
    case SHADOW_NO_MEMORY:
        break;
    }
    return pv_give_up(pv, exit, "the kernel maps nothing more for it, at linear address %lx", address);
}
