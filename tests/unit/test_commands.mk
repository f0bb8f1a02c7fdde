$(eval $(call unit_test,test_commands,dbgserver/commands.c dbgserver/format.c ipc/debug_shape.c))
