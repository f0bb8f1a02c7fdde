$(eval $(call unit_test,test_local_apic,$(FAKE_MACHINE) vmm/devices/local_apic.c vmm/devices/local_apic_timer.c))
