$(eval $(call unit_test,test_interrupt_path,$(FAKE_MACHINE) vmm/guest_memory.c $(wildcard vmm/devices/*.c)))
