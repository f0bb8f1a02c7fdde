$(eval $(call unit_test,test_pit,$(FAKE_MACHINE) vmm/devices/pit.c))
