$(eval $(call unit_test,test_unialloc,algorithms/unialloc.c algorithms/idalloc.c))
