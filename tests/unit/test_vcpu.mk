include tests/unit/fake_vcpu.mk
$(eval $(call unit_test,test_vcpu,$(FAKE_VCPU)))
