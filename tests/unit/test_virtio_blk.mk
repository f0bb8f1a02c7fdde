$(eval $(call unit_test,test_virtio_blk,$(FAKE_DRIVER) virtio/blk.c))
