$(eval $(call unit_test,test_serial,$(FAKE_MACHINE) vmm/devices/serial.c))
