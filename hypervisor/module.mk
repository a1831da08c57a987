# The hypervisor: build/hypervisor.elf.

# Everything that knows nothing of the machine.
HYPERVISOR_SRC := $(addprefix hypervisor/src/, \
	ec.c elf.c fpu.c ipc.c item.c kernel.c log.c mapping.c msr_access.c object.c page.c \
	pd.c rcu.c remote.c revoke.c sc.c slab.c sm.c string.c \
	state.c sys_control.c sys_create.c syscall.c \
	timeout.c tlb.c tree.c)

# The machine: boot, page tables, interrupts, VMX and SVM.
HYPERVISOR_SRC += $(addprefix hypervisor/src/x86/, \
	acpi.c amdvi.c apic.c boot.c desc.c entry.S exception.c hip.c \
	iommu.c irq.c kmem.c mitigate.c multiboot.c \
	ptab_host.c smp.c start.S suspend.c svm.c svm_entry.S \
	svm_state.c topology.c tsc.c vcpu.c vtd.c vmx.c vmx_entry.S vmx_exit.c \
	vmx_init.c vmx_state.c)

HYPERVISOR_LD	:= hypervisor/src/hypervisor.ld
HYPERVISOR_OBJ	:= $(addprefix $(B)/,$(addsuffix .o,$(basename $(HYPERVISOR_SRC))))
OBJECTS		+= $(HYPERVISOR_OBJ) $(B)/hypervisor/offsets.o
KERNEL_FLAGS	:= -mcmodel=kernel -Ihypervisor/include -Ihypervisor/src -I$(B)/hypervisor
KERNEL_CC	= $(Q)$(CC) $(MACHINE) $(KERNEL_FLAGS) -MMD -MP
KERNEL_LINK	= $(Q)$(CC) $(LINK) -Wl,-T,$(HYPERVISOR_LD) $(HYPERVISOR_OBJ) -o

$(B)/hypervisor/%.o: hypervisor/%.c $(B)/flags
	@mkdir -p $(@D); $(call say,CC)
	$(KERNEL_CC) -c -o $@ $<

$(B)/hypervisor/%.o: hypervisor/%.S $(B)/flags $(B)/hypervisor/offsets.h
	@mkdir -p $(@D); $(call say,AS)
	$(KERNEL_CC) -c -o $@ $<

# Offsets of C's structures for assembly.
$(B)/hypervisor/offsets.h: hypervisor/src/x86/offsets.c $(B)/flags
	@mkdir -p $(@D)
	$(KERNEL_CC) -MT $@ -MF $(B)/hypervisor/offsets.d -S -o - $< | \
		sed -n 's/.*"->\([^ ]*\) \$$*\([0-9]*\)".*/#define \U\1 \2/;T;s/\./_/g;p' > $@

# Linked twice: without symbol table, to learn the addresses of the functions,
# then with the one that a panic's backtrace is printed from. The table must not
# move the functions; the last line checks that.
$(B)/hypervisor.elf: $(HYPERVISOR_OBJ) $(HYPERVISOR_LD) hypervisor/symbols.py
	@$(call say,LD)
	$(KERNEL_LINK) $@ -Wl,--unresolved-symbols=ignore-all
	$(Q)$(PYTHON) hypervisor/symbols.py $@ > $(B)/hypervisor/symbols.S
	$(KERNEL_LINK) $@ $(B)/hypervisor/symbols.S
	$(Q)$(PYTHON) hypervisor/symbols.py $@ | cmp - $(B)/hypervisor/symbols.S
