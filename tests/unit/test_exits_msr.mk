include tests/unit/fake_machine.mk
$(eval $(call unit_test,test_exits_msr,$(FAKE_MACHINE) vmm/devices/msr.c vmm/exits_msr.c))
