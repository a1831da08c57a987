# The Linux guest: Debian's kernel and busybox, taken out of their packages, and
# the image with everything that GRUB loads.
GUEST_FILES	:= $(B)/guest/bzImage $(B)/guest/initrd
GUEST_ROOTFS	:= guests/rootfs/etc/inittab guests/rootfs/etc/boot \
		   guests/rootfs/etc/profile
MANIFEST	:= guests/$(GUEST).dts

# What GRUB hands over, the root task first. The programs are added below.
MODULES		= $(B)/root.elf $(B)/manifest.dtb \
		  $(filter-out $(B)/root.elf $(TEST_PROGRAMS),$(PROGRAMS)) \
		  $(GUEST_FILES)

# Downloaded once for a build directory, a rebuild needs no network.
$(B)/guest/deb/.done: guests/fetch
	@mkdir -p $(@D); $(call say,FETCH)
	$(Q)guests/fetch $(@D) > $@.log 2>&1 || { cat $@.log >&2; false; }
	$(Q)touch $@

$(B)/guest/bzImage: $(B)/guest/deb/.done
	@$(call say,GUEST)
	$(Q)cp -f $(B)/guest/deb/bzImage $@

$(B)/guest/initrd: guests/initrd $(GUEST_ROOTFS) $(B)/guest/deb/.done
	@$(call say,GUEST)
	$(Q)guests/initrd $(B)/guest/deb/busybox guests/rootfs $@

$(B)/manifest.dtb: $(MANIFEST) root/programs.dtsi $(B)/guest/name
	@$(call say,DTC)
	$(Q)dtc -q -i root -I dts -O dtb -o $@ $<

# Another GUEST is another manifest.
$(B)/guest/name: FORCE
	@mkdir -p $(@D)
	@echo '$(GUEST)' | cmp -s - $@ || echo '$(GUEST)' > $@

$(B)/micronova.iso: $(B)/hypervisor.elf $(B)/root.elf $(PROGRAMS) \
		$(B)/manifest.dtb $(GUEST_FILES) tests/platform/image.py
	@$(call say,ISO)
	$(Q)$(PYTHON) tests/platform/image.py $@ $(B)/hypervisor.elf $(MODULES)
