include tests/unit/fake_machine.mk
$(eval $(call unit_test,test_exits,$(FAKE_MACHINE) tests/unit/fake_vcpu.c $(wildcard vmm/devices/*.c) \
	vmm/exits.c vmm/exits_msr.c vmm/exits_control.c vmm/faults.c vmm/port_io.c vmm/emulate.c vmm/instruction.c vmm/alu.c \
	vmm/linear.c vmm/guest_walk.c vmm/guest_memory.c vmm/cpuid.c vmm/cpuid_rules.c))
build/tests/test_exits: build/zydis/host/libzydis.a
