$(eval $(call user_program,screenserver,$(addprefix screenserver/,keyboard.c main.c screen.c),runtime ipc,runtime/service.ld))
