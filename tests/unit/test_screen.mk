$(eval $(call unit_test,test_screen,screenserver/screen.c))
