$(eval $(call unit_test,test_schedule,timeserver/schedule.c))
