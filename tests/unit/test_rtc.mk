$(eval $(call unit_test,test_rtc,$(FAKE_MACHINE) vmm/devices/rtc.c vmm/devices/rtc_calendar.c))
