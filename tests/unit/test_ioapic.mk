$(eval $(call unit_test,test_ioapic,$(FAKE_MACHINE) vmm/devices/ioapic.c))
