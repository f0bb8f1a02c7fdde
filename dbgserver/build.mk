DBGSERVER_SOURCES := $(addprefix dbgserver/,commands.c format.c line_editor.c main.c)
$(eval $(call user_program,dbgserver,$(DBGSERVER_SOURCES),runtime ipc,runtime/service.ld))
