# The benchmark: docs/benchmark.md.
comma := ,
BENCH_SRC := $(addprefix tests/hypercall/,start.S machine.c ecs.c \
		events.c servant.c settle.c) \
	     $(addprefix tests/bench/,stubs.S main.c stats.c ipc.c object.c \
	     schedule.c vm.c)

# NAME, and 2 if it is the one to be traced.
define bench_program
BENCH_IMAGES	+= $(B)/$(1).iso
TEST_PROGRAMS	+= $(B)/$(1).elf
$(call program_rules,$(1),$(BENCH_SRC),-Wl$(comma)--defsym=bench_tracing=$(2))
$(B)/$(1).iso: $(B)/hypervisor.elf $(B)/$(1).elf tests/platform/image.py
	@$$(call say,ISO)
	$(Q)$$(PYTHON) tests/platform/image.py $$@ $(B)/hypervisor.elf \
		$(B)/$(1).elf
endef

$(eval $(call bench_program,bench,1))
$(eval $(call bench_program,bench-trace,2))

# The guest that measures what exits cost it, under the VMM: NAME, and 2.
BENCH_GUEST	:= $(addprefix $(B)/tests/,guest/start.o guest/lib.o \
		   bench/guest.o bench/guest_entry.o bench/stats.o)
OBJECTS		+= $(BENCH_GUEST)
BENCH_GUESTS	:= $(addprefix $(B)/guest/,bench.bin bench-trace.bin)

$(B)/tests/bench/%.o: tests/bench/%.c $(B)/flags
	@mkdir -p $(@D); $(call say,CC)
	$(Q)$(CC) $(MACHINE) -MMD -MP -c -o $@ $<

$(B)/tests/bench/%.o: tests/bench/%.S $(B)/flags
	@mkdir -p $(@D); $(call say,AS)
	$(Q)$(CC) $(MACHINE) -MMD -MP -c -o $@ $<

$(B)/guest/bench.bin: BENCH_TRACING := 1
$(B)/guest/bench-trace.bin: BENCH_TRACING := 2
$(BENCH_GUESTS): $(BENCH_GUEST) tests/guest/guest.ld
	@mkdir -p $(@D); $(call say,LD)
	$(Q)$(CC) $(LINK) -Wl,--no-warn-rwx-segments \
		-Wl,--defsym=bench_tracing=$(BENCH_TRACING) \
		-Wl,-T,tests/guest/guest.ld -o $(@:.bin=.elf) $(filter %.o,$^)
	$(Q)objcopy -O binary $(@:.bin=.elf) $@

# A system with nothing in it but that guest and the console.
BENCH_SYSTEMS	:= $(addprefix $(B)/bench-,guest.iso guest-trace.iso)
BENCH_IMAGES	+= $(BENCH_SYSTEMS)

$(B)/bench-%/manifest.dtb: tests/bench/guest.dts root/programs.dtsi
	@mkdir -p $(@D); $(call say,DTC)
	$(Q)sed 's/bench\.bin/$(subst guest,bench,$*).bin/' $< | \
		dtc -q -i root -I dts -O dtb -o $@ -

$(BENCH_SYSTEMS): $(B)/%.iso: $(B)/hypervisor.elf $(B)/root.elf \
		$(B)/%/manifest.dtb $(B)/console.elf $(B)/vmm.elf \
		$(BENCH_GUESTS) tests/platform/image.py
	@$(call say,ISO)
	$(Q)$(PYTHON) tests/platform/image.py $@ $(filter %.elf %.dtb,$^) \
		$(B)/guest/$(subst -guest,,$*).bin

# Linux as a guest and bare: an initramfs that measures, and the system.
BENCH_LINUX	:= $(addprefix $(B)/bench-,linux-boot.iso linux-quiet.iso linux-work.iso)
BENCH_BARE	:= $(addprefix $(B)/bench-linux/,initrd entry.bin)
BENCH_IMAGES	+= $(BENCH_LINUX) $(BENCH_BARE)

$(B)/bench-linux/work: tests/bench/linux/work.c $(B)/flags
	@mkdir -p $(@D); $(call say,CC)
	$(Q)$(CC) -std=gnu2x -O2 -static $(WARNINGS) -o $@ $<

$(B)/bench-linux/initrd: tests/bench/linux/rootfs tests/bench/linux/profile \
		$(B)/bench-linux/work $(B)/guest/deb/.done guests/initrd \
		$(GUEST_ROOTFS)
	@$(call say,GUEST)
	$(Q)tests/bench/linux/rootfs $(B)/guest/deb/busybox \
		$(B)/bench-linux/work $@

$(B)/bench-linux/entry.bin: tests/bench/linux/entry.S
	@mkdir -p $(@D); $(call say,AS)
	$(Q)$(CC) -m32 -c -o $(@:.bin=.o) $<
	$(Q)objcopy -O binary -j .text $(@:.bin=.o) $@

# As in linux.py.
BENCH_COMMAND_LINE := console=ttyS0,115200 nokaslr clearcpuid=rep_good,erms
$(B)/bench-linux-%/manifest.dtb: tests/bench/linux/linux.dts tests/bench/module.mk \
		root/programs.dtsi
	@mkdir -p $(@D); $(call say,DTC)
	$(Q)sed 's/COMMAND-LINE/$(BENCH_COMMAND_LINE) $*/' $< | \
		dtc -q -i root -I dts -O dtb -o $@ -

$(BENCH_LINUX): $(B)/%.iso: $(B)/hypervisor.elf $(B)/root.elf \
		$(B)/%/manifest.dtb $(B)/console.elf $(B)/vmm.elf \
		$(B)/guest/bzImage $(B)/bench-linux/initrd \
		tests/platform/image.py
	@$(call say,ISO)
	$(Q)$(PYTHON) tests/platform/image.py $@ $(filter-out %.py,$^)

LINUX		?= yes
BENCH		:= B=$(B) PLATFORM=$(PLATFORM) LINUX=$(LINUX) \
		   $(PYTHON) tests/bench/bench.py
BENCH_COUNTS	:= tests/bench/counts.json
BENCH_QUICK	:= $(addprefix $(B)/,bench.iso bench-trace.iso) $(BENCH_SYSTEMS)

bench: packages					## measure, into build/bench/result.html
	$(Q)$(MAKE) --no-print-directory $(BENCH_IMAGES)
	$(Q)$(BENCH) run $(B)/bench/result

bench-check: $(BENCH_QUICK)			## is anything slower than it was?
	$(Q)$(BENCH) check $(BENCH_COUNTS)

bench-update: $(BENCH_QUICK)			## these are the counts from now on
	$(Q)$(BENCH) update $(BENCH_COUNTS)

bench-compare:					## what changed from A=x.json to B=y.json
	$(Q)$(PYTHON) tests/bench/bench.py compare $(A) $(B)

.PHONY: bench bench-check bench-update bench-compare

UNIT_TESTS	+= $(B)/unit/bench_tools
$(B)/unit/bench_tools: tests/unit/bench_tools.py
	@mkdir -p $(@D)
	$(Q)install -m755 $< $@
