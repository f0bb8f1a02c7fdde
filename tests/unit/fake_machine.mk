# What a test of device models links beside the devices:
#   $(eval $(call unit_test,test_X,$(FAKE_MACHINE) vmm/devices/X.c))
FAKE_MACHINE := tests/unit/fake_machine.c vmm/device.c vmm/bus.c vmm/timers.c algorithms/vcpu.c
