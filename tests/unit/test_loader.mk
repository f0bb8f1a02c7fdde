LOADER_SOURCES := vmm/guest_memory.c $(sort $(wildcard vmm/loader*.c))
$(eval $(call unit_test,test_loader,$(LOADER_SOURCES)))
$(eval $(call unit_test,test_loader_refusals,$(LOADER_SOURCES)))
