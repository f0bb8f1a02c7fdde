include tests/unit/fake_machine.mk
$(eval $(call unit_test,test_msr,$(FAKE_MACHINE) vmm/devices/msr.c))
