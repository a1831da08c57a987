# Micronova: build, run and test. Each directory lists its sources in its
# module.mk; what is built goes to $(B). `make help` tells the targets.
B		?= build
PYTHON		?= /usr/bin/python3
PLATFORM	?= auto
FIRMWARE	?= bios
CPUS		?= 1
MEM		?= 1024
GUEST		?= linux
ifeq ($(origin CC),default)
CC		:= gcc
endif
Q		:= $(if $(V),,@)
say		= $(if $(V),:,printf '  %-7s %s\n' $(1) $(patsubst $(B)/%,%,$@))

.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
.DEFAULT_GOAL	:= all

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
	    -Wmissing-prototypes -Wcast-qual -Wvla -Wundef -Werror
MACHINE	 := -std=gnu2x -O2 -g $(WARNINGS) -ffreestanding -fno-pic -fno-pie \
	    -mno-red-zone -mgeneral-regs-only -fno-stack-protector \
	    -fcf-protection=none -fno-asynchronous-unwind-tables \
	    -ffile-prefix-map=$(CURDIR)=.
LINK	 := -static -nostdlib -Wl,--build-id=none \
	    -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--fatal-warnings

include hypervisor/module.mk root/module.mk vmm/module.mk guests/module.mk
include tests/bench/module.mk tests/module.mk

all: kernel user iso				## build everything
kernel: $(B)/hypervisor.elf			## build the hypervisor
user: $(PROGRAMS)				## build root, services, programs, VMM
iso: $(B)/micronova.iso				## build the bootable image
guest: $(GUEST_FILES)				## put the Linux guest together

run: packages					## boot it, the guest's console is here
	$(Q)$(MAKE) --no-print-directory iso
	$(Q)$(RUN) --platform $(PLATFORM) --firmware $(FIRMWARE) \
		--cpus $(CPUS) --memory $(MEM) $(B)/micronova.iso
bare: packages					## boot the guest without us, to compare
	$(Q)$(MAKE) --no-print-directory guest
	$(Q)$(RUN) --platform $(PLATFORM) --cpus $(CPUS) --memory $(MEM) \
		--bare $(B)/guest

packages:					## install the Debian packages needed
	$(Q)tests/platform/packages

size: kernel user				## lines of the kernel, sizes of binaries
	$(Q)cloc --quiet hypervisor
	$(Q)size $(B)/hypervisor.elf $(B)/root.elf $(B)/vmm.elf

clean:						## remove what was built
	rm -rf $(B)

help:						## this list
	@awk -F ':|## ' '/^[a-z-]+:.*## / { \
		printf "  make %-13s %s\n", $$1, $$NF }' \
		Makefile */module.mk */*/module.mk
	@echo
	@echo '  B=build CC=gcc|clang V=1; PLATFORM=auto|qemu-kvm|qemu-tcg|bochs-vmx|bochs-avx512|bochs-svm'
	@echo '  FIRMWARE=bios|uefi CPUS=1 MEM=1024 (MiB) GUEST=linux'

.PHONY: all kernel user iso guest run bare packages size clean help FORCE

# What is compiled depends on how: a change of compiler or flags rebuilds.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(MACHINE) $(KERNEL_FLAGS) $(USER_FLAGS) $(UNIT_FLAGS)' | \
		cmp -s - $@ || \
		echo '$(CC) $(MACHINE) $(KERNEL_FLAGS) $(USER_FLAGS)' \
		'$(UNIT_FLAGS)' > $@

-include $(OBJECTS:.o=.d)
