$(eval $(call unit_test,test_multiplexer,logserver/multiplexer.c logserver/backlog.c))
