$(eval $(call user_program,testmonitor,$(addprefix tests/monitor/,main.c timers.c virtio.c),runtime ipc,runtime/service.ld))
$(eval $(call user_program,testshell,tests/monitor/shell.c,runtime ipc,runtime/service.ld))
$(eval $(call user_program,testtimeserver,tests/monitor/timeserver.c,runtime ipc,runtime/service.ld))
