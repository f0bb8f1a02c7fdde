SHADOW_FIXTURE := tests/unit/fake_mmu.c vmm/guest_memory.c $(wildcard vmm/pv/shadow*.c)
