$(eval $(call unit_test,test_bus,vmm/bus.c))
