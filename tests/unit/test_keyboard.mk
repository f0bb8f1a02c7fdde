$(eval $(call unit_test,test_keyboard,screenserver/keyboard.c))
