# The hypervisor: build/hypervisor.elf.

# Everything that knows nothing of the machine.
HYPERVISOR_SRC := \
	hypervisor/src/ec.c \
	hypervisor/src/elf.c \
	hypervisor/src/fpu.c \
	hypervisor/src/ipc.c \
	hypervisor/src/item.c \
	hypervisor/src/kernel.c \
	hypervisor/src/log.c \
	hypervisor/src/mapping.c \
	hypervisor/src/msr_access.c \
	hypervisor/src/object.c \
	hypervisor/src/page.c \
	hypervisor/src/panic.c \
	hypervisor/src/pd.c \
	hypervisor/src/ptab.c \
	hypervisor/src/rcu.c \
	hypervisor/src/remote.c \
	hypervisor/src/revoke.c \
	hypervisor/src/sc.c \
	hypervisor/src/slab.c \
	hypervisor/src/sm.c \
	hypervisor/src/string.c \
	hypervisor/src/space.c \
	hypervisor/src/state.c \
	hypervisor/src/sys_control.c \
	hypervisor/src/sys_create.c \
	hypervisor/src/syscall.c \
	hypervisor/src/table.c \
	hypervisor/src/timeout.c \
	hypervisor/src/tlb.c

# The machine: boot, page tables, interrupts, VMX and SVM.
HYPERVISOR_SRC += \
	hypervisor/src/x86/acpi.c \
	hypervisor/src/x86/amdvi.c \
	hypervisor/src/x86/apic.c \
	hypervisor/src/x86/boot.c \
	hypervisor/src/x86/desc.c \
	hypervisor/src/x86/entry.S \
	hypervisor/src/x86/exception.c \
	hypervisor/src/x86/hip.c \
	hypervisor/src/x86/iommu.c \
	hypervisor/src/x86/irq.c \
	hypervisor/src/x86/kmem.c \
	hypervisor/src/x86/madt.c \
	hypervisor/src/x86/mitigate.c \
	hypervisor/src/x86/multiboot.c \
	hypervisor/src/x86/pool.c \
	hypervisor/src/x86/ptab_host.c \
	hypervisor/src/x86/setup.c \
	hypervisor/src/x86/smp.c \
	hypervisor/src/x86/start.S \
	hypervisor/src/x86/suspend.c \
	hypervisor/src/x86/svm.c \
	hypervisor/src/x86/svm_entry.S \
	hypervisor/src/x86/svm_exit.c \
	hypervisor/src/x86/svm_state.c \
	hypervisor/src/x86/topology.c \
	hypervisor/src/x86/trampoline.S \
	hypervisor/src/x86/tsc.c \
	hypervisor/src/x86/vcpu.c \
	hypervisor/src/x86/vtd.c \
	hypervisor/src/x86/vmx.c \
	hypervisor/src/x86/vmx_entry.S \
	hypervisor/src/x86/vmx_exit.c \
	hypervisor/src/x86/vmx_init.c \
	hypervisor/src/x86/vmx_state.c

HYPERVISOR_LD	:= hypervisor/src/hypervisor.ld
HYPERVISOR_OBJ	:= $(addprefix $(B)/,$(addsuffix .o,$(basename $(HYPERVISOR_SRC))))
OBJECTS		+= $(HYPERVISOR_OBJ)
KERNEL_FLAGS	:= -mcmodel=kernel -Ihypervisor/include -Ihypervisor/src \
		   -I$(B)/hypervisor

$(B)/hypervisor/%.o: hypervisor/%.c $(B)/flags
	@mkdir -p $(@D); $(call say,CC)
	$(Q)$(CC) $(MACHINE) $(KERNEL_FLAGS) -MMD -MP -c -o $@ $<

# Offsets of C's structures for assembly.
$(B)/hypervisor/offsets.h: hypervisor/src/x86/offsets.c $(B)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(MACHINE) $(KERNEL_FLAGS) -MMD -MP -MT $@ \
		-MF $(B)/hypervisor/offsets.d -S -o - $< | \
		sed -n 's/.*"->\([^ ]*\) \$$*\([0-9]*\)".*/#define \U\1 \2/;T;s/\./_/g;p' > $@

-include $(B)/hypervisor/offsets.d

$(B)/hypervisor/%.o: hypervisor/%.S $(B)/flags $(B)/hypervisor/offsets.h
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
