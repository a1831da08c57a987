# The hypervisor: build/hypervisor.elf.

# Everything that knows nothing of the machine.
HYPERVISOR_SRC := \

# The machine: boot, page tables, interrupts, VMX and SVM.
HYPERVISOR_SRC += \

HYPERVISOR_LD	:= hypervisor/src/hypervisor.ld
HYPERVISOR_OBJ	:= $(addprefix $(B)/,$(addsuffix .o,$(basename $(HYPERVISOR_SRC))))
OBJECTS		+= $(HYPERVISOR_OBJ)
KERNEL_FLAGS	:= -mcmodel=kernel -Ihypervisor/include -Ihypervisor/src

$(B)/hypervisor/%.o: hypervisor/%.c $(B)/flags
	@mkdir -p $(@D); $(call say,CC)
	$(Q)$(CC) $(MACHINE) $(KERNEL_FLAGS) -MMD -MP -c -o $@ $<

$(B)/hypervisor/%.o: hypervisor/%.S $(B)/flags
	@mkdir -p $(@D); $(call say,AS)
	$(Q)$(CC) $(MACHINE) $(KERNEL_FLAGS) -MMD -MP -c -o $@ $<

# Linked twice: with an empty symbol table, to learn the addresses of the
# functions, then with the table that a panic's backtrace is printed from.
# The table must not move the functions; the last line checks that.
$(B)/hypervisor/symbols0.S: hypervisor/symbols.py
	@mkdir -p $(@D)
	$(Q)$(PYTHON) $< > $@

$(B)/hypervisor/symbols.S: $(B)/hypervisor/pass1.elf hypervisor/symbols.py
	$(Q)$(PYTHON) hypervisor/symbols.py $< > $@

$(B)/hypervisor/symbols%.o: $(B)/hypervisor/symbols%.S
	$(Q)$(CC) -c -o $@ $<

$(B)/hypervisor/symbols.o: $(B)/hypervisor/symbols.S
	$(Q)$(CC) -c -o $@ $<

$(B)/hypervisor/pass1.elf: $(HYPERVISOR_OBJ) $(B)/hypervisor/symbols0.o \
		$(HYPERVISOR_LD)
	$(Q)$(CC) $(LINK) -Wl,-T,$(HYPERVISOR_LD) -o $@ $(filter %.o,$^)

$(B)/hypervisor.elf: $(HYPERVISOR_OBJ) $(B)/hypervisor/symbols.o \
		$(HYPERVISOR_LD)
	@$(call say,LD)
	$(Q)$(CC) $(LINK) -Wl,-T,$(HYPERVISOR_LD) -o $@ $(filter %.o,$^)
	$(Q)$(PYTHON) hypervisor/symbols.py $@ | \
		cmp - $(B)/hypervisor/symbols.S
