# Functions that the folders' build.mk files call.
#   $(call objects,KIND,SOURCES)                 the object files of SOURCES; KIND is kernel, user or host
#   $(eval $(call user_library,NAME,SOURCES))    build/user/libNAME.a
#   $(eval $(call user_program,NAME,SOURCES,LIBRARIES,LINKER_SCRIPT))
#                                                build/NAME.elf, from SOURCES and the named user libraries
#   $(eval $(call unit_test,NAME,SOURCES))       build/tests/NAME from tests/unit/NAME.c and SOURCES, with cmocka
PROGRAMS :=
UNIT_TESTS :=

objects = $(patsubst %,build/$(1)/%.o,$(basename $(2)))

build/kernel/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(KERNEL_CFLAGS) -MMD -MP -c $< -o $@
build/kernel/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(KERNEL_CFLAGS) -MMD -MP -c $< -o $@
build/user/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(USER_CFLAGS) -MMD -MP -c $< -o $@
build/user/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(USER_CFLAGS) -MMD -MP -c $< -o $@
build/host/%.o: %.c
	@mkdir -p $(@D)
	$(HOSTCC) $(HOST_CFLAGS) -MMD -MP -c $< -o $@

define user_library
build/user/lib$(1).a: $(call objects,user,$(2))
	@rm -f $$@
	ar rcs $$@ $$^
-include $(patsubst %.o,%.d,$(call objects,user,$(2)))
endef

define user_program
PROGRAMS += build/$(1).elf
build/$(1).elf: $(call objects,user,$(2)) $(patsubst %,build/user/lib%.a,$(3)) $(4)
	@mkdir -p $$(@D)
	$$(CC) $$(USER_LDFLAGS) -Wl,-T,$(4) -o $$@ $(call objects,user,$(2)) \
		-Wl,--start-group $(patsubst %,build/user/lib%.a,$(3)) $$(MUSL_LIB)/libc.a -lgcc -Wl,--end-group
-include $(patsubst %.o,%.d,$(call objects,user,$(2)))
endef

define unit_test
UNIT_TESTS += build/tests/$(1)
build/tests/$(1): $(call objects,host,tests/unit/$(1).c $(2))
	@mkdir -p $$(@D)
	$$(HOSTCC) $$(HOST_LDFLAGS) -o $$@ $$^ -lcmocka
-include $(patsubst %.o,%.d,$(call objects,host,tests/unit/$(1).c $(2)))
endef
