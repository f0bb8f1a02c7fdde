$(eval $(call unit_test,test_guest_memory,vmm/guest_memory.c))
