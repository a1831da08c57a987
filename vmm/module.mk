# The virtual machine monitor: build/vmm.elf.
VMM_SRC := \
	vmm/src/bus.c \
	vmm/src/gmem.c \
	vmm/src/irq.c \
	vmm/src/linear.c \
	vmm/src/timer.c \
	vmm/src/walk.c \
	vmm/dev/acpi_pm.c \
	vmm/dev/acpi_tables.c \
	vmm/dev/board.c \
	vmm/dev/debug.c \
	vmm/dev/i440fx.c \
	vmm/dev/i8042.c \
	vmm/dev/ioapic.c \
	vmm/dev/lapic.c \
	vmm/dev/pci.c \
	vmm/dev/pic.c \
	vmm/dev/piix3.c \
	vmm/dev/pit.c \
	vmm/dev/rtc.c \
	vmm/dev/uart.c \
	vmm/dev/dsdt.S

$(B)/user/vmm/%.o: USER_EXTRA := -Wa,-I$(B)/user/vmm
$(eval $(call program,vmm,$(VMM_SRC)))

# ACPI source to machine language, for .incbin.
$(B)/user/%.aml: %.asl
	@mkdir -p $(@D); $(call say,IASL)
	$(Q)iasl -p $(basename $@) $< > $@.log 2>&1 || { cat $@.log; false; }
$(B)/user/vmm/dev/dsdt.o: $(B)/user/vmm/dev/dsdt.aml
