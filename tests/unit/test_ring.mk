$(eval $(call unit_test,test_ring,ipc/ring.c))
