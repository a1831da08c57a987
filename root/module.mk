# The user runtime, the root task, the services and the ordinary programs.
# Each program is linked with the runtime; a program NAME of the sources LIST
# is $(eval $(call program,NAME,LIST)) and becomes build/NAME.elf.
USER_LD		:= root/lib/user.ld
USER_FLAGS	:= -Ihypervisor/include -Iroot
USER_LIB	:= $(B)/user/runtime.a

user_objects	= $(addprefix $(B)/user/,$(addsuffix .o,$(basename $(1))))

# A component without sources is left out.
program		= $(if $(strip $(2)),$(call program_rules,$(1),$(2),$(3)))

define program_rules
PROGRAMS	+= $(B)/$(1).elf
OBJECTS		+= $(call user_objects,$(2))
$(B)/$(1).elf: $(call user_objects,$(2)) $(USER_LIB) $(USER_LD)
	@$$(call say,LD)
	$(Q)$$(CC) $(LINK) -Wl,-T,$(USER_LD) -Wl,-u,_start -o $$@ \
		$$(filter %.o,$$^) $(USER_LIB) $(3)
endef

# The runtime, without libc: startup, call stubs, strings, printf, heap, threads.
LIB_SRC := $(addprefix root/lib/,start.S portal.S main.c runtime.c string.c copy.c print.c \
	status.c sel.c lock.c time.c heap.c message.c thread.c info.c request.c \
	ring.c console.c log.c)

# The root task.
ROOT_SRC := $(addprefix root/src/,start.S main.c program.c build.c channel.c \
	event.c request.c manifest.c override.c elf.c memory.c module.c serial.c)

# Services and ordinary programs.
CONSOLE_SRC := $(addprefix root/services/console/,main.c mux.c uart.c view.c)

OBJECTS		+= $(call user_objects,$(LIB_SRC))
$(eval $(call program,root,$(ROOT_SRC),-lfdt $(USER_LIB)))
$(eval $(call program,console,$(CONSOLE_SRC)))
$(eval $(call program,sum,root/services/sum/main.c))
$(eval $(call program,counter,root/services/counter/main.c))
$(eval $(call program,crash,root/services/crash/main.c))

$(USER_LIB): $(call user_objects,$(LIB_SRC))
	@$(call say,AR); rm -f $@
	$(Q)ar rcs $@ $^

$(B)/user/%.o: %.c $(B)/flags
	@mkdir -p $(@D); $(call say,CC)
	$(Q)$(CC) $(MACHINE) $(USER_FLAGS) $(USER_EXTRA) -MMD -MP -c -o $@ $<

$(B)/user/%.o: %.S $(B)/flags
	@mkdir -p $(@D); $(call say,AS)
	$(Q)$(CC) $(MACHINE) $(USER_FLAGS) $(USER_EXTRA) -MMD -MP -c -o $@ $<
