$(eval $(call user_program,testmonitor,tests/monitor/main.c,runtime ipc,runtime/service.ld))
