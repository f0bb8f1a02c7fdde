$(eval $(call unit_test,test_device,$(FAKE_MACHINE)))
