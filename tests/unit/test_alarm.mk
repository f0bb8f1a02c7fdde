$(eval $(call unit_test,test_alarm,timeserver/alarm_count.c))
