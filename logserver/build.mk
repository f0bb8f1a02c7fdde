LOGSERVER_SOURCES := $(addprefix logserver/,backlog.c line_filter.c main.c multiplexer.c serial.c terminal.c)
$(eval $(call user_program,logserver,$(LOGSERVER_SOURCES),runtime ipc,runtime/service.ld))
