#include "tests/unit/pvm_fixture.h"

#include <stdlib.h>

unsigned privileged_calls;
uint8_t privileged_vector;
uint32_t privileged_error;

enum privileged_result privileged_exception(struct pv_cpu *cpu, uint8_t vector, uint32_t error, uint64_t dr6,
                                            struct vcpu_exit *exit)
{
    (void)cpu;
    (void)dr6;
    privileged_calls++;
    privileged_vector = vector;
    privileged_error = error;
    exit->kind = VCPU_EXIT_PAUSE;
    return PRIVILEGED_EXIT;
}

static void note_write(void *context, uint64_t physical, uint64_t length)
{
    struct pvm_fixture *fixture = context;

    if (fixture->writes < WRITES_MAX) {
        fixture->write[fixture->writes].physical = physical;
        fixture->write[fixture->writes].length = length;
    }
    fixture->writes++;
}

struct pvm_fixture *pvm_fixture_bare(void)
{
    struct pvm_fixture *fixture = calloc(1, sizeof *fixture);

    if (!fixture)
        abort();
    privileged_calls = 0;
    fixture->guest = guest_create();
    fixture->vcpu = &fixture->guest->cpu.vcpu;
    pv_cpu_init(&fixture->cpu, fixture->vcpu, &fixture->guest->memory, &fixture->guest->bus);
    fixture->guest->memory.context = fixture;
    fixture->guest->memory.written = note_write;
    if (!pvm_init(&fixture->pvm, &fixture->cpu, RANGE_FIRST, RANGE_LAST))
        abort();
    return fixture;
}

struct pvm_fixture *pvm_fixture_create(void)
{
    struct pvm_fixture *fixture = pvm_fixture_bare();
    uint64_t *value = fixture->vcpu->value;

    if (!pvm_fixture_set(fixture, PVM_MSR_VCPU_STRUCT, SHARED_PAGE) ||
        !pvm_fixture_set(fixture, PVM_MSR_EVENT_ENTRY, ENTRY) || !pvm_fixture_set(fixture, PVM_MSR_RETU_RIP, RETU) ||
        !pvm_fixture_set(fixture, PVM_MSR_RETS_RIP, RETS) || !pvm_fixture_set(fixture, PVM_MSR_SWITCH_CR3, OTHER_CR3) ||
        !pvm_fixture_set(fixture, PVM_MSR_SUPERVISOR_RSP, STACK_TOP))
        abort();
    fixture->shared = fixture->pvm.shared;
    fixture->shared->user_cs = 0x33;
    fixture->shared->user_ss = 0x2b;
    for (enum vcpu_register reg = VCPU_RAX; reg <= VCPU_R15; reg++)
        value[reg] = UINT64_C(0x1000100010001) * (reg + 1);
    value[VCPU_RSP] = STACK_TOP;
    value[VCPU_RIP] = KERNEL_BASE + GUEST_CODE;
    value[VCPU_LSTAR] = SYSCALLS;
    value[VCPU_SEGMENT(VCPU_GS, VCPU_BASE)] = value[VCPU_KERNEL_GS_BASE] = KERNEL_GS;
    return fixture;
}

void pvm_fixture_destroy(struct pvm_fixture *fixture)
{
    guest_destroy(fixture->guest);
    free(fixture);
}

bool pvm_fixture_set(struct pvm_fixture *fixture, unsigned msr, uint64_t value)
{
    struct bus_access access = { .write = true, .size = 8, .address = PVM_MSR_FIRST + msr, .value = value };

    return bus_perform(&fixture->guest->bus, BUS_MSR, &access) == BUS_DONE;
}

uint64_t pvm_fixture_get(struct pvm_fixture *fixture, unsigned msr)
{
    struct bus_access access = { .size = 8, .address = PVM_MSR_FIRST + msr };

    if (bus_perform(&fixture->guest->bus, BUS_MSR, &access) != BUS_DONE)
        abort();
    return access.value;
}

void pvm_fixture_run_program(struct pvm_fixture *fixture)
{
    uint64_t *value = fixture->vcpu->value;
    uint64_t cr3 = value[VCPU_CR3];

    value[VCPU_CR3] = fixture->pvm.msr[PVM_MSR_SWITCH_CR3];
    fixture->pvm.msr[PVM_MSR_SWITCH_CR3] = cr3;
    value[VCPU_SEGMENT(VCPU_CS, VCPU_SELECTOR)] = 0x33;
    value[VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)] = 0xa0fb;
    value[VCPU_SEGMENT(VCPU_SS, VCPU_SELECTOR)] = 0x2b;
    value[VCPU_SEGMENT(VCPU_SS, VCPU_ACCESS)] = 0xc0f3;
    value[VCPU_SEGMENT(VCPU_GS, VCPU_BASE)] = USER_GS;
    value[VCPU_RIP] = 0x401000;
    value[VCPU_RSP] = 0x7ffffff0;
    value[VCPU_RFLAGS] = 0x246;
}

uint64_t pvm_fixture_register(struct pvm_fixture *fixture, enum vcpu_register reg)
{
    return vcpu_get(fixture->vcpu, reg);
}
