/* Runs the registered cases and says how they ended. */
#include "tests/kernel/harness.h"

#include <sel4/beaml4.h>
#include <stdio.h>
#include <string.h>

extern const struct test_case __registered_start[], __registered_end[];

static struct env environment;

/* Takes back all that the case has made: what comes of the memory by revoking it, what does not slot by slot. */
static void clean_up(struct env *e)
{
    if (seL4_CNode_Revoke(ROOT, e->untyped, ROOT_DEPTH) != seL4_NoError)
        panic("the memory of the cases cannot be revoked");
    for (seL4_CPtr slot = e->first_slot; slot < e->next_slot; slot++)
        if (seL4_CNode_Delete(ROOT, slot, ROOT_DEPTH) != seL4_NoError)
            panic("slot %lu cannot be deleted", slot);
    e->next_slot = e->first_slot;
    e->thread_count = 0;
}

static void look_at_the_kernel(struct env *e)
{
    seL4_CPtr slot = e->first_slot;

    for (const seL4_BootInfoHeader *r = NULL; (r = sel4_bootinfo_next(e->bootinfo, r));)
        if (r->id >= SEL4_BOOTINFO_HEADER_NUM)
            e->is_ours = true;
    const seL4_BootInfo_beaml4_t *own =
        (const seL4_BootInfo_beaml4_t *)sel4_bootinfo_find(e->bootinfo, SEL4_BOOTINFO_HEADER_BEAML4);
    e->has_vcpu = seL4_Untyped_Retype(e->untyped, seL4_X86_VCPUObject, 0, ROOT, 0, 0, slot, 1) == seL4_NoError;
    if (e->has_vcpu)
        seL4_CNode_Delete(ROOT, slot, ROOT_DEPTH);
    e->has_svm = e->has_vcpu && own && own->features & SEL4_BEAML4_SVM;
    e->has_vtx = e->has_vcpu && !e->has_svm;
    note("kernel: %s, virtual CPUs: %s, untyped of 2^%u bytes", e->is_ours ? "beaml4's" : "upstream's",
         e->has_vtx ? "by VT-x" : e->has_svm ? "by AMD-V" : "none", e->untyped_bits);
}

static enum case_outcome run_case(struct env *e, const struct test_case *c)
{
    int outcome = setjmp(e->back);

    if (outcome == CASE_PASSED)
        c->run(e);
    return (enum case_outcome)outcome;
}

static void report(struct env *e, const struct test_case *c, unsigned number, enum case_outcome outcome)
{
    char line[500];

    if (outcome == CASE_FAILED)
        note("%s:%d: %s", e->file, e->line, e->message);
    snprintf(line, sizeof line, "%sok %u - %s%s%s\n", outcome == CASE_FAILED ? "not " : "", number, c->name,
             outcome == CASE_SKIPPED ? " # SKIP " : "", outcome == CASE_SKIPPED ? e->message : "");
    seL4_DebugPutString(line);
}

/* QEMU's isa-debug-exit, where there is one, ends the machine; otherwise the line before has told the harness. */
static _Noreturn void finish(struct env *e, unsigned failures)
{
    seL4_CPtr port = e->first_slot;

    seL4_DebugPutString("# done\n");
    if (seL4_X86_IOPortControl_Issue(seL4_CapIOPortControl, 0xf4, 0xf4, ROOT, port, ROOT_DEPTH) == seL4_NoError)
        seL4_X86_IOPort_Out8(port, 0xf4, failures > 0);
    for (;;)
        seL4_DebugHalt();
}

void root_main(const seL4_BootInfo *bootinfo)
{
    struct env *e = &environment;
    unsigned count = (unsigned)(__registered_end - __registered_start);
    unsigned failures = 0;

    *e = (struct env) {
        .bootinfo = bootinfo,
        .first_slot = bootinfo->empty.start,
        .next_slot = bootinfo->empty.start,
    };
    choose_memory(e);
    if (e->untyped_bits < 24)
        panic("no untyped memory of 16 MiB");
    if (seL4_TCB_SetPriority(seL4_CapInitThreadTCB, seL4_CapInitThreadTCB, ROOT_PRIORITY) != seL4_NoError)
        panic("the root thread's priority cannot be set");
    look_at_the_kernel(e);
    note("%u cases", count);
    for (unsigned i = 0; i < count; i++) {
        const struct test_case *c = &__registered_start[i];
        note("run %s", c->name);
        enum case_outcome outcome = run_case(e, c);
        clean_up(e);
        failures += outcome == CASE_FAILED;
        report(e, c, i + 1, outcome);
    }
    char plan[32];
    snprintf(plan, sizeof plan, "1..%u\n", count);
    seL4_DebugPutString(plan);
    finish(e, failures);
}
