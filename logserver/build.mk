$(eval $(call user_program,logserver,logserver/main.c logserver/serial.c logserver/multiplexer.c,runtime ipc,runtime/service.ld))
