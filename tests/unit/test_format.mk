$(eval $(call unit_test,test_format,runtime/format.c))
