include tests/unit/fake_vcpu.mk
GUEST_FIXTURE := tests/unit/guest_fixture.c $(FAKE_VCPU) vmm/bus.c vmm/guest_memory.c vmm/guest_walk.c vmm/linear.c \
	vmm/alu.c vmm/emulate.c vmm/instruction.c
