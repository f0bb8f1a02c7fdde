$(eval $(call unit_test,test_interrupt_path,$(FAKE_MACHINE) $(wildcard vmm/devices/*.c)))
