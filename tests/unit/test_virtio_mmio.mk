$(eval $(call unit_test,test_virtio_mmio,$(FAKE_DRIVER)))
