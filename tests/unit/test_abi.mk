$(eval $(call unit_test,test_abi,))
build/host/tests/unit/test_abi.o: build/generated/sel4_abi_rows.inc
build/generated/sel4_abi_rows.inc: tests/unit/make_abi_rows.py tests/unit/sel4_abi.tsv
	@mkdir -p $(@D)
	/usr/bin/python3 $^ $@
