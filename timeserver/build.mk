$(eval $(call user_program,timeserver,$(addprefix timeserver/,alarm.c alarm_count.c main.c schedule.c),runtime ipc,runtime/service.ld))
