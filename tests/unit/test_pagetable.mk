$(eval $(call unit_test,test_pagetable,algorithms/pagetable.c))
