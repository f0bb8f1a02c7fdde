$(eval $(call unit_test,test_line_filter,logserver/line_filter.c))
