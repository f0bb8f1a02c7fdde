#include "tests/unit/fake_vcpu.h"

#include <string.h>

static uint64_t read_register(void *context, enum vcpu_register reg)
{
    struct fake_vcpu *fake = context;

    fake->reads++;
    return fake->real[reg];
}

static void write_register(void *context, enum vcpu_register reg, uint64_t value)
{
    struct fake_vcpu *fake = context;

    fake->writes++;
    fake->real[reg] = value;
}

static const struct vcpu_operations operations = { .read = read_register, .write = write_register, .has_cr2 = true };

void fake_vcpu_init(struct fake_vcpu *fake)
{
    memset(fake, 0, sizeof *fake);
    vcpu_init(&fake->vcpu, &operations, fake);
}

void fake_vcpu_long_mode(struct fake_vcpu *fake, uint64_t cr3)
{
    struct vcpu *vcpu = &fake->vcpu;

    fake_vcpu_init(fake);
    memset(vcpu->valid, 0xff, sizeof vcpu->valid);
    vcpu->value[VCPU_RFLAGS] = 0x2;
    vcpu->value[VCPU_CR0] = CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_PE;
    vcpu->value[VCPU_CR3] = cr3;
    vcpu->value[VCPU_CR4] = CR4_PAE;
    vcpu->value[VCPU_EFER] = EFER_LME | EFER_LMA | EFER_NXE;
    vcpu->value[VCPU_SEGMENT(VCPU_CS, VCPU_ACCESS)] = 0xa09b;
    vcpu->value[VCPU_SEGMENT(VCPU_SS, VCPU_ACCESS)] = 0xc093;
}
