$(eval $(call unit_test,test_pv_patch,vmm/guest_memory.c $(patsubst %,vmm/pv/%.c,patch_kinds patch_scan patch_page patch_elf patch_vector \
	privileged_decode)))
build/tests/test_pv_patch: build/zydis/host/libzydis.a
