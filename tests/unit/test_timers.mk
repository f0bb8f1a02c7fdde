$(eval $(call unit_test,test_timers,vmm/timers.c))
