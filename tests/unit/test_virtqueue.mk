$(eval $(call unit_test,test_virtqueue,$(FAKE_DRIVER)))
