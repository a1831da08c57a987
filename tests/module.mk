# Tests: unit tests on the host, hypercall programs that boot as root, and
# system tests of the whole. tests/run counts what they say.
RUN		:= $(PYTHON) tests/platform/run.py
TEST		:= B=$(B) $(PYTHON) tests/run.py

# Unit tests: NAME, with its sources and include directories.
#     $(eval $(call unit,NAME,SOURCES,-IDIR...))
UNIT_FLAGS	:= -std=gnu2x -O1 -g $(WARNINGS) -fno-omit-frame-pointer \
		   -fsanitize=address,undefined -fno-sanitize-recover=all \
		   -Ihypervisor/include

unit_objects	= $(addprefix $(B)/unit/$(1).o/,$(addsuffix .o,$(basename $(2))))

define unit
UNIT_TESTS	+= $(B)/unit/$(1)
OBJECTS		+= $(call unit_objects,$(1),$(2))
$(B)/unit/$(1): $(call unit_objects,$(1),$(2))
	@$$(call say,LD)
	$(Q)$$(CC) $(UNIT_FLAGS) -o $$@ $$^ -lcmocka
$(B)/unit/$(1).o/%.o: %.c $(B)/flags
	@mkdir -p $$(@D); $$(call say,CC)
	$(Q)$$(CC) $(UNIT_FLAGS) $(3) -MMD -MP -c -o $$@ $$<
endef

# Hypercall tests: bare programs that boot in the place of the root task.
#     $(eval $(call hypercall,NAME,SOURCES))
define hypercall
HYPERCALL_TESTS	+= $(B)/$(1).iso
TEST_PROGRAMS	+= $(B)/$(1).elf
$(call program_rules,$(1),$(2))
$(B)/$(1).iso: $(B)/hypervisor.elf $(B)/$(1).elf tests/platform/image.py
	@$$(call say,ISO)
	$(Q)$$(PYTHON) tests/platform/image.py $$@ $(B)/hypervisor.elf \
		$(B)/$(1).elf
endef

test: packages					## all tests, as CI runs them
	$(Q)$(MAKE) --no-print-directory $(UNIT_TESTS) $(HYPERCALL_TESTS) iso
	$(Q)$(TEST) unit hypercall system

unit: $(UNIT_TESTS)				## unit tests on this machine
	$(Q)$(TEST) unit

hypercall: $(HYPERCALL_TESTS)			## hypercall tests, QEMU and Bochs
	$(Q)$(TEST) hypercall

system: iso					## system tests, QEMU and Bochs
	$(Q)$(TEST) system

.PHONY: test unit hypercall system
