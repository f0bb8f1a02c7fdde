$(eval $(call unit_test,test_terminal,logserver/terminal.c))
