#include <arch/x86_64/debug_registers.h>

#include <object/vcpu_object.h>

#define READ_DR(n, to)    __asm__ volatile("movq %%dr" #n ", %0" : "=r"(to))
#define WRITE_DR(n, from) __asm__ volatile("movq %0, %%dr" #n : : "r"(from))

void debug_registers_use(struct cpu *cpu, struct vcpu *vcpu)
{
    struct vcpu *before = cpu->debug_vcpu;

    if (before == vcpu)
        return;
    if (before) {
        READ_DR(0, before->dr[0]);
        READ_DR(1, before->dr[1]);
        READ_DR(2, before->dr[2]);
        READ_DR(3, before->dr[3]);
        READ_DR(6, before->dr6);
    }
    WRITE_DR(0, vcpu->dr[0]);
    WRITE_DR(1, vcpu->dr[1]);
    WRITE_DR(2, vcpu->dr[2]);
    WRITE_DR(3, vcpu->dr[3]);
    WRITE_DR(6, vcpu->dr6);
    cpu->debug_vcpu = vcpu;
}

void debug_registers_forget(struct cpu *cpu, const struct vcpu *vcpu)
{
    if (cpu->debug_vcpu == vcpu)
        cpu->debug_vcpu = NULL;
}
