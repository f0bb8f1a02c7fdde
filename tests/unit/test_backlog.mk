$(eval $(call unit_test,test_backlog,logserver/backlog.c))
