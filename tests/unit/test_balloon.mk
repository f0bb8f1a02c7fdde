$(eval $(call unit_test,test_balloon,vmm/balloon.c vmm/faults.c vmm/guest_memory.c algorithms/vcpu.c))
