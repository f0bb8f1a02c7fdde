$(eval $(call unit_test,test_idalloc,algorithms/idalloc.c))
