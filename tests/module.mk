# Tests: unit tests on the host, hypercall programs that boot as root, and
# system tests of the whole. tests/run counts what they say.
RUN		:= $(PYTHON) tests/platform/run.py
TEST		:= B=$(B) $(PYTHON) tests/run.py

# Unit tests: NAME, with its sources and include directories.
#     $(eval $(call unit,NAME,SOURCES,-IDIR...,-lLIBRARY...))
UNIT_FLAGS	:= -std=gnu2x -O1 -g $(WARNINGS) -fno-omit-frame-pointer \
		   -fsanitize=address,undefined -fno-sanitize-recover=all \
		   -Ihypervisor/include $(if $(COVERAGE),--coverage)

unit_objects	= $(addprefix $(B)/unit/$(1).o/,$(addsuffix .o,$(basename $(2))))

define unit_objects_rule
OBJECTS		+= $(call unit_objects,$(1),$(2))
$(B)/unit/$(1).o/%.o: %.c $(B)/flags
	@mkdir -p $$(@D); $$(call say,CC)
	$(Q)$$(CC) $(UNIT_FLAGS) $(3) -MMD -MP -c -o $$@ $$<
$(B)/unit/$(1).o/%.o: %.S $(B)/flags
	@mkdir -p $$(@D); $$(call say,AS)
	$(Q)$$(CC) -c -o $$@ $$<
endef

define unit
UNIT_TESTS	+= $(B)/unit/$(1)
$(B)/unit/$(1): $(call unit_objects,$(1),$(2)) $(UNIT_LIMIT)
	@$$(call say,LD)
	$(Q)$$(CC) $(UNIT_FLAGS) -o $$@ $$^ -lcmocka $(4)
$(call unit_objects_rule,$(1),$(2),$(3))
endef

# What all of them have.
UNIT_LIMIT	:= $(call unit_objects,limit,tests/unit/limit.c)
$(eval $(call unit_objects_rule,limit,tests/unit/limit.c))

UNIT_ROOT	:= root/lib/print.c root/lib/copy.c
RENAME		:= -Dsnprintf=root_snprintf -Dvsnprintf=root_vsnprintf
$(eval $(call unit,root_print,tests/unit/root_print.c root/lib/print.c,\
	-Iroot $(RENAME)))
$(eval $(call unit,root_heap,tests/unit/root_heap.c tests/unit/root_fake.c \
	root/lib/heap.c,-Iroot))
$(eval $(call unit,root_ring,tests/unit/root_ring.c root/lib/ring.c,-Iroot))
$(eval $(call unit,root_elf,tests/unit/root_elf.c root/src/elf.c,-Iroot))
$(eval $(call unit,root_manifest,tests/unit/root_manifest.c \
	root/src/manifest.c root/src/override.c $(UNIT_ROOT),\
	-Iroot $(RENAME),-lfdt))
$(eval $(call unit,root_mux,tests/unit/root_mux.c \
	root/services/console/mux.c root/lib/ring.c $(UNIT_ROOT),\
	-Iroot $(RENAME)))

VMM_FIXTURE	:= tests/unit/vmm_fixture.c \
		   $(addprefix vmm/src/,bus.c irq.c timer.c)
$(eval $(call unit,vmm_bus,tests/unit/vmm_bus.c $(VMM_FIXTURE)))
$(eval $(call unit,vmm_timer,tests/unit/vmm_timer.c $(VMM_FIXTURE)))
$(foreach name,pic pit rtc uart ioapic,$(eval $(call unit,vmm_$(name),\
	tests/unit/vmm_$(name).c vmm/dev/$(name).c $(VMM_FIXTURE))))
VMM_LAPIC	:= $(addprefix vmm/dev/,lapic.c lapic_message.c \
		   lapic_register.c lapic_timer.c)
$(foreach name,lapic lapic_message lapic_timer,$(eval \
	$(call unit,vmm_$(name),tests/unit/vmm_$(name).c \
	tests/unit/vmm_apics.c $(VMM_FIXTURE) $(VMM_LAPIC))))
$(eval $(call unit,vmm_pci,tests/unit/vmm_pci.c $(VMM_FIXTURE) \
	$(addprefix vmm/dev/,pci.c i440fx.c piix3.c)))
$(eval $(call unit,vmm_acpi,tests/unit/vmm_acpi.c $(VMM_FIXTURE) \
	$(addprefix vmm/dev/,acpi_pm.c acpi_tables.c pci.c)))
VMM_EMULATOR	:= $(addprefix vmm/src/,gmem.c walk.c linear.c insn.c opcode.c \
		   emulate.c alu.c alu_table.S move.c strings.c)
VMM_SAMPLE	:= tests/unit/vmm_sample.c tests/unit/vmm_sample_native.S
$(eval $(call unit,vmm_emulate,tests/unit/vmm_emulate.c \
	$(VMM_SAMPLE) $(VMM_FIXTURE) $(VMM_EMULATOR)))
$(eval $(call unit,vmm_quick,tests/unit/vmm_quick.c $(VMM_SAMPLE) \
	$(VMM_FIXTURE) $(VMM_EMULATOR) $(addprefix vmm/src/,quick.c \
	quick_data.c quick_flow.c quick_decode.c)))
$(eval $(call unit,vmm_emulate_modes,tests/unit/vmm_emulate_modes.c \
	$(VMM_FIXTURE) $(VMM_EMULATOR)))
$(eval $(call unit,vmm_walk,tests/unit/vmm_walk.c $(VMM_FIXTURE) \
	$(addprefix vmm/src/,gmem.c walk.c)))
$(eval $(call unit,vmm_inject,tests/unit/vmm_inject.c vmm/src/inject.c \
	$(VMM_FIXTURE) $(addprefix vmm/dev/,lapic.c lapic_message.c \
	lapic_register.c lapic_timer.c pic.c),-Iroot))
$(eval $(call unit,vmm_boot,tests/unit/vmm_boot.c $(VMM_FIXTURE) \
	$(addprefix vmm/src/,gmem.c bzimage.c linux.c) $(UNIT_ROOT),\
	-Iroot $(RENAME)))
$(eval $(call unit,vmm_cpuid,tests/unit/vmm_cpuid.c $(VMM_FIXTURE) \
	$(addprefix vmm/src/,gmem.c cpuid.c pvclock.c)))
$(eval $(call unit,vmm_ports,tests/unit/vmm_ports.c $(VMM_FIXTURE) \
	$(addprefix vmm/dev/,acpi_pm.c board.c debug.c i8042.c pci.c pic.c \
	pit.c rtc.c uart.c)))

# The kernel's core for the host, in an archive; hardware is the fixture's.
HV_FLAGS	:= -DHOST_TEST -fno-builtin-log -include tests/unit/hv_fake.h \
		   -iquote hypervisor/src -iquote tests/unit
HV_CORE		:= tests/unit/hv_fixture.c tests/unit/hv_pool.c \
		   $(addprefix hypervisor/src/,ec.c ipc.c item.c mapping.c \
		   object.c pd.c rcu.c remote.c revoke.c sc.c \
		   sm.c tree.c state.c sys_control.c \
		   sys_create.c syscall.c timeout.c tlb.c x86/ptab_host.c)
$(eval $(call unit_objects_rule,hv_core,$(HV_CORE),$(HV_FLAGS)))
$(B)/unit/hv_core.a: $(call unit_objects,hv_core,$(HV_CORE))
	$(Q)rm -f $@ && $(AR) rc $@ $^
define hv_unit
$(call unit,hv_$(1),tests/unit/hv_$(1).c $(2),$(HV_FLAGS) $(3))
$(B)/unit/hv_$(1): $(B)/unit/hv_core.a
endef
$(foreach name,page slab space timeout item state rcu threads,\
	$(eval $(call hv_unit,$(name))))
$(eval $(call hv_unit,mapping,tests/unit/hv_model.c))
$(eval $(call hv_unit,elf,hypervisor/src/elf.c))
# Firmware's tables are where they are.
HV_LOADER	:= tests/unit/hv_firmware.c hypervisor/src/x86/multiboot.c
HV_FIRMWARE	:= $(HV_LOADER) hypervisor/src/x86/acpi.c
$(eval $(call hv_unit,multiboot,$(HV_LOADER),-fno-sanitize=alignment))
$(eval $(call hv_unit,acpi,$(HV_FIRMWARE),-fno-sanitize=alignment))
$(eval $(call hv_unit,iommu,$(addprefix hypervisor/src/x86/,vtd.c amdvi.c),\
	-fno-sanitize=alignment))
$(eval $(call hv_unit,devices))
$(eval $(call hv_unit,ipc,tests/unit/hv_machine.c))
$(eval $(call hv_unit,death,tests/unit/hv_machine.c))
$(eval $(call hv_unit,meanwhile,tests/unit/hv_machine.c))

$(foreach name,apic topology tsc smp,$(eval \
	$(call unit,hv_$(name),tests/unit/hv_$(name).c,$(HV_FLAGS))))

# The vCPUs' state, without the archive: each has fakes of its own.
$(eval $(call unit,hv_vcpu,tests/unit/hv_vcpu.c \
	hypervisor/src/x86/vcpu.c,$(HV_FLAGS)))
$(eval $(call unit,hv_svm,tests/unit/hv_svm.c \
	hypervisor/src/x86/svm_state.c,$(HV_FLAGS)))
$(eval $(call unit,hv_svm_exit,tests/unit/hv_svm_exit.c \
	hypervisor/src/x86/svm.c,$(HV_FLAGS)))
$(eval $(call unit,hv_vmx,tests/unit/hv_vmx.c \
	hypervisor/src/x86/vmx_state.c,\
	$(HV_FLAGS) -include tests/unit/hv_vmcs.h))
$(eval $(call unit,hv_vmx_exit,tests/unit/hv_vmx_exit.c \
	hypervisor/src/x86/vmx_exit.c,\
	$(HV_FLAGS) -D_GNU_SOURCE -include tests/unit/hv_vmcs.h))

# Harnesses for libFuzzer, which is clang's: NAME, with sources beside
# tests/fuzz/NAME.c, flags, and libraries.
FUZZ_FLAGS	:= -std=gnu2x -O1 -g -Wall -Wextra -Werror -Wno-unused-function \
		   -fno-omit-frame-pointer -fsanitize=address,undefined \
		   -fno-sanitize-recover=all -Ihypervisor/include

fuzz_objects	= $(addprefix $(B)/fuzz/$(1).o/,$(addsuffix .o,$(basename $(2))))

define fuzz_objects_rule
OBJECTS		+= $(call fuzz_objects,$(1),$(2))
$(B)/fuzz/$(1).o/%.o: %.c $(B)/flags
	@mkdir -p $$(@D); $$(call say,FUZZ)
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link $(3) -MMD -MP \
		-c -o $$@ $$<
$(B)/fuzz/$(1).o/%.o: %.S $(B)/flags
	@mkdir -p $$(@D); $$(call say,AS)
	$(Q)clang -c -o $$@ $$<
endef

define fuzz
FUZZERS		+= $(B)/fuzz/$(1)
$(B)/fuzz/$(1): $(call fuzz_objects,$(1),tests/fuzz/$(1).c $(2))
	@$$(call say,LD)
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer -o $$@ $$^ -lcmocka $(4)
$(call fuzz_objects_rule,$(1),tests/fuzz/$(1).c $(2),$(3))
endef

$(eval $(call fuzz_objects_rule,hv_core,$(HV_CORE),$(HV_FLAGS)))
$(B)/fuzz/hv_core.a: $(call fuzz_objects,hv_core,$(HV_CORE))
	$(Q)rm -f $@ && $(AR) rc $@ $^
$(eval $(call fuzz,hv_mapping,tests/unit/hv_model.c,$(HV_FLAGS)))
$(eval $(call fuzz,hv_boot,$(HV_FIRMWARE),$(HV_FLAGS) \
	-fno-sanitize=alignment))
$(eval $(call fuzz,hv_elf,hypervisor/src/elf.c,$(HV_FLAGS)))
$(eval $(call fuzz,hv_iommu,$(addprefix hypervisor/src/x86/,vtd.c amdvi.c),\
	$(HV_FLAGS) -fno-sanitize=alignment))
$(addprefix $(B)/fuzz/hv_,mapping boot elf iommu): $(B)/fuzz/hv_core.a
$(eval $(call fuzz,root_elf,root/src/elf.c,-Iroot))
$(eval $(call fuzz,root_ring,root/lib/ring.c,-Iroot))
$(eval $(call fuzz,vmm_emulate,$(VMM_FIXTURE) $(VMM_EMULATOR)))
$(eval $(call fuzz,vmm_bzimage,$(VMM_FIXTURE) $(addprefix vmm/src/,gmem.c \
	bzimage.c linux.c) $(UNIT_ROOT),-Iroot $(RENAME)))
$(eval $(call fuzz,vmm_devices,tests/unit/vmm_apics.c $(VMM_FIXTURE) \
	$(VMM_LAPIC) $(addprefix vmm/dev/,acpi_pm.c board.c debug.c i8042.c \
	ioapic.c pci.c pic.c pit.c rtc.c uart.c)))

# The document of the interface and its headers agree; what documents name is there.
UNIT_TESTS	+= $(B)/unit/abi_doc $(B)/unit/names_doc
$(B)/unit/abi_doc $(B)/unit/names_doc: $(B)/unit/%: tests/unit/%.py
	@mkdir -p $(@D)
	$(Q)install -m755 $< $@

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

# Every call, every status, every right.
MATRIX_SRC := $(addprefix tests/hypercall/,matrix.c matrix_ipc.c matrix_create.c \
	matrix_memory.c matrix_control.c matrix_device.c)
HYPERCALL_SRC := $(addprefix tests/hypercall/,start.S code.S main.c \
	machine.c ecs.c events.c servant.c settle.c boot.c call.c reply.c status.c create.c churn.c \
	semaphore.c delegate.c ports.c items.c translate.c revoke.c exception.c recall.c \
	schedule.c time.c gsi.c quota.c fpu.c smp.c remote.c signal.c \
	control.c oom.c vm.c vcpu.c \
	vcpu_state.c vcpu_inject.c vcpu_hostile.c leak.c guest.S hostile.c \
	suspend.c storm.c storm_code.S topics.c) $(MATRIX_SRC)
$(eval $(call hypercall,hypercall,$(HYPERCALL_SRC)))

# Devices, with and without IOMMU.
$(eval $(call hypercall,device,$(addprefix tests/hypercall/,device.c \
	device_interrupt.c edu.c) \
	$(filter-out %/topics.c $(MATRIX_SRC),$(HYPERCALL_SRC))))

# Objects by the million.
$(eval $(call hypercall,millions,tests/hypercall/millions.c \
	$(filter-out %/topics.c $(MATRIX_SRC),$(HYPERCALL_SRC))))

# The same with all mitigations, needed or not: the paths that boot patches.
HYPERCALL_TESTS	+= $(B)/hypercall_mitigated.iso
$(B)/hypercall_mitigated.iso: $(B)/hypercall.iso
	@$(call say,ISO)
	$(Q)$(PYTHON) tests/platform/image.py $@ \
		$(B)/hypervisor.elf:mitigations=all $(B)/hypercall.elf

# The list of what the document names: a case each.
$(B)/user/tests/hypercall/matrix.inc: tests/hypercall/matrix.py docs/abi.md \
		$(wildcard hypervisor/include/abi/*.h)
	@mkdir -p $(@D); $(call say,GEN)
	$(Q)$(PYTHON) $< > $@
MATRIX_OBJ := $(MATRIX_SRC:%.c=$(B)/user/%.o)
$(MATRIX_OBJ): $(B)/user/tests/hypercall/matrix.inc
$(MATRIX_OBJ): USER_EXTRA := -I$(B)/user/tests/hypercall

# The hypercall fuzzer and who stands beside it: programs of a manifest.
TEST_PROGRAMS	+= $(B)/fuzz.elf $(B)/watchdog.elf
$(eval $(call program_rules,fuzz,$(addprefix tests/fuzz/hypercall/,entry.S \
	attack.c main.c vcpu.c)))
$(eval $(call program_rules,watchdog,tests/fuzz/hypercall/watchdog.c))

# Guest tests: small guests that boot as Linux does. NAME is one file beside
# lib.c; build/guest/NAME.bin is a bzImage.
GUEST_TESTS	:= $(addsuffix .bin,$(addprefix $(B)/guest/,exits fuzz modes))
guest_objects	= $(addprefix $(B)/tests/guest/,start.o lib.o $(1).o)
OBJECTS		+= $(call guest_objects,exits) \
		   $(addprefix $(B)/tests/guest/,fuzz.o modes.o modes_code.o)

$(B)/tests/guest/%.o: tests/guest/%.c $(B)/flags
	@mkdir -p $(@D); $(call say,CC)
	$(Q)$(CC) $(MACHINE) -MMD -MP -c -o $@ $<

$(B)/tests/guest/%.o: tests/guest/%.S $(B)/flags
	@mkdir -p $(@D); $(call say,AS)
	$(Q)$(CC) $(MACHINE) -MMD -MP -c -o $@ $<

$(B)/guest/modes.bin: $(B)/tests/guest/modes_code.o
$(GUEST_TESTS): $(B)/guest/%.bin: $(call guest_objects,%) tests/guest/guest.ld
	@mkdir -p $(@D); $(call say,LD)
	$(Q)$(CC) $(LINK) -Wl,--no-warn-rwx-segments \
		-Wl,-T,tests/guest/guest.ld -o $(@:.bin=.elf) $(filter %.o,$^)
	$(Q)objcopy -O binary $(@:.bin=.elf) $@

test: packages					## all tests, as CI runs them
	$(Q)$(MAKE) --no-print-directory $(UNIT_TESTS) $(FUZZERS) \
		$(HYPERCALL_TESTS) $(B)/latency.iso $(SYSTEM_PROGRAMS) iso
	$(Q)$(TEST) unit hypercall system

unit: $(UNIT_TESTS) $(FUZZERS)			## unit tests on this machine
	$(Q)$(TEST) unit

hypercall: $(HYPERCALL_TESTS) $(B)/latency.iso	## hypercall tests, QEMU and Bochs
	$(Q)$(TEST) hypercall

# What system tests boot beside the usual system.
SYSTEM_PROGRAMS	:= $(GUEST_TESTS) $(B)/fuzz.elf $(B)/watchdog.elf

system: iso $(SYSTEM_PROGRAMS)			## system tests, QEMU and Bochs
	$(Q)$(TEST) system

# How long interrupts are off: a program in the place of root, counted.
TEST_PROGRAMS	+= $(B)/latency.elf
$(eval $(call program_rules,latency,tests/latency/start.S \
	tests/latency/main.c tests/latency/crowd.c))
$(B)/latency.iso: $(B)/hypervisor.elf $(B)/latency.elf
	@$(call say,ISO)
	$(Q)$(PYTHON) tests/platform/image.py $@ $^
latency: $(B)/latency.iso			## longest time with interrupts off
	$(Q)$(PYTHON) tests/latency/run.py $(B)/hypervisor.elf $<

# With COVERAGE=1 the kernel and the unit tests count what they execute; the
# kernel's counters are read out of its memory.
ifneq ($(COVERAGE),)
$(HYPERVISOR_OBJ): private KERNEL_FLAGS += -fprofile-arcs -ftest-coverage \
	-fprofile-update=atomic -fprofile-info-section=.gcov_info
$(B)/hypervisor.elf: LINK += -Wl,--defsym=__gcov_merge_add=1
endif

coverage: packages				## lines of the kernel that tests reach
	$(Q)$(MAKE) --no-print-directory COVERAGE=1 CC=gcc B=$(B)/coverage \
		coverage-build
	$(Q)$(PYTHON) tests/coverage/run.py $(B)/coverage
coverage-build: $(UNIT_TESTS) $(HYPERCALL_TESTS)

MINUTES		?= 10
fuzz: iso $(FUZZERS) $(SYSTEM_PROGRAMS)		## fuzzers, for MINUTES=10
	$(Q)B=$(B) $(PYTHON) tests/fuzz/run.py minutes $(MINUTES)

.PHONY: test unit fuzz hypercall system latency coverage coverage-build
