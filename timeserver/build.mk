$(eval $(call user_program,timeserver,timeserver/main.c timeserver/schedule.c,runtime ipc,runtime/service.ld))
