include tests/unit/fake_machine.mk
$(eval $(call unit_test,test_kvm_clock,$(FAKE_MACHINE) vmm/guest_memory.c vmm/devices/kvm_clock.c))
