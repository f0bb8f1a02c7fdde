$(eval $(call unit_test,test_virtio_rng,$(FAKE_DRIVER) virtio/rng.c))
