$(eval $(call unit_test,test_commands,dbgserver/commands.c dbgserver/commands_system.c dbgserver/commands_vm.c dbgserver/format.c ipc/debug_shape.c vmm/trace.c algorithms/vcpu.c))
