# The virtual machine monitor: build/vmm.elf.
VMM_SRC := $(addprefix vmm/src/,main.c vm.c vcpu.c vcpu_entry.S inject.c \
	exit.c vmx.c svm.c length.c msr.c cpuid.c pvclock.c report.c machine.c \
	bus.c irq.c timer.c gmem.c walk.c linear.c insn.c opcode.c emulate.c \
	alu.c alu_table.S move.c strings.c quick.c quick_data.c quick_flow.c \
	quick_decode.c ahead.c bzimage.c linux.c)
VMM_SRC += $(addprefix vmm/dev/,lapic.c lapic_message.c lapic_register.c \
	lapic_timer.c ioapic.c pic.c pit.c rtc.c uart.c i8042.c board.c debug.c \
	pci.c i440fx.c piix3.c acpi_pm.c acpi_tables.c dsdt.S)

$(B)/user/vmm/%.o: USER_EXTRA := -Wa,-I$(B)/user/vmm
$(B)/user/vmm/dev/dsdt.o: $(B)/user/vmm/dev/dsdt.aml
$(eval $(call program,vmm,$(VMM_SRC)))

# ACPI source to machine language, for .incbin.
$(B)/user/%.aml: %.asl
	@mkdir -p $(@D); $(call say,IASL)
	$(Q)iasl -p $(basename $@) $< > $@.log 2>&1 || { cat $@.log; false; }
