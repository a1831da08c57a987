# The virtual machine monitor: build/vmm.elf.
VMM_SRC := \
	vmm/src/bus.c \
	vmm/src/gmem.c \
	vmm/src/irq.c \
	vmm/src/linear.c \
	vmm/src/timer.c \
	vmm/src/walk.c \
	vmm/dev/pic.c

$(B)/user/vmm/%.o: USER_EXTRA := -Wa,-I$(B)/user/vmm
$(eval $(call program,vmm,$(VMM_SRC)))

# ACPI source to machine language, for .incbin.
$(B)/user/%.aml: %.asl
	@mkdir -p $(@D); $(call say,IASL)
	$(Q)iasl -p $(basename $@) $< > $@.log 2>&1 || { cat $@.log; false; }
