include tests/unit/fake_vcpu.mk
$(eval $(call unit_test,test_faults,$(FAKE_VCPU) vmm/faults.c vmm/trace.c vmm/start.c))
