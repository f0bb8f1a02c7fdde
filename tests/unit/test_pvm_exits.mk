include tests/unit/fake_machine.mk
$(eval $(call unit_test,test_pvm_exits,$(FAKE_MACHINE) vmm/devices/msr.c vmm/exits_msr.c vmm/faults.c \
	vmm/guest_memory.c vmm/pv/pvm.c vmm/pv/pvm_exits.c))
