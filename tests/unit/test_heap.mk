$(eval $(call unit_test,test_heap,runtime/heap.c))
