DBGSERVER_SOURCES := $(addprefix dbgserver/,commands.c commands_system.c commands_vm.c format.c line_editor.c main.c) vmm/trace.c
$(eval $(call user_program,dbgserver,$(DBGSERVER_SOURCES),runtime ipc algorithms,runtime/service.ld))
