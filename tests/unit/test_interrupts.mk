include tests/unit/fake_vcpu.mk
$(eval $(call unit_test,test_interrupts,$(FAKE_VCPU) vmm/interrupts.c))
