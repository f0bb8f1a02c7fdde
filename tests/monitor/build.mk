$(eval $(call user_program,testmonitor,tests/monitor/main.c tests/monitor/virtio.c,runtime ipc,runtime/service.ld))
$(eval $(call user_program,testshell,tests/monitor/shell.c,runtime ipc,runtime/service.ld))
