/*
 * A vCPU's state on VMX, to and from a handler's UTCB: no field of the VMCS is
 * touched that the MTD does not name, and none is read that the guest cannot
 * change without an exit.
 *
 * Segments, tables, EFER and DR7 are dear under KVM and change seldom: what the
 * VMM is shown of them is remembered until the next exit, so that nothing is
 * written that the VMM gives back as it was.
 *
 * What the processor checks at VM entry is not checked here: the VMM gets to
 * know as an invalid guest state.
 */
#include "vcpu_state.h"
#include "vmx.h"

/* Parts of the MTD. */
#define MTD_SEGMENTS (MTD_DS_ES | MTD_FS_GS | MTD_CS_SS | MTD_TR | MTD_LDTR | MTD_GDTR | MTD_IDTR)
#define MTD_CONTROL  (MTD_CR | MTD_DR | MTD_CTRL | MTD_EFER | MTD_PDPTE)
#define MTD_KEPT \
	(MTD_SYSENTER | MTD_TSC | MTD_SYSCALL | MTD_TPR | MTD_TSC_AUX | MTD_XSAVE | MTD_FPU)
/* What is compared with what the VMM was shown. */
#define MTD_SEEN (MTD_SEGMENTS | MTD_DR | MTD_EFER)

/* Controls that a VMM may choose. All else is the kernel's. */
#define PRIMARY_VMM                                                                  \
	(PRIMARY_INVLPG_EXITING | PRIMARY_MWAIT_EXITING | PRIMARY_RDTSC_EXITING |    \
	 PRIMARY_CR8_LOAD_EXITING | PRIMARY_CR8_STORE_EXITING | PRIMARY_TPR_SHADOW | \
	 PRIMARY_MOV_DR_EXITING | PRIMARY_MONITOR_TRAP | PRIMARY_MONITOR_EXITING |   \
	 PRIMARY_PAUSE_EXITING)
#define PRIMARY_CR8	(PRIMARY_CR8_LOAD_EXITING | PRIMARY_CR8_STORE_EXITING)
#define PRIMARY_WINDOWS (PRIMARY_INTERRUPT_WINDOW | PRIMARY_NMI_WINDOW)
#define SECONDARY_VMM                                                                    \
	(SECONDARY_TABLE_EXITING | SECONDARY_WBINVD_EXITING | SECONDARY_RDRAND_EXITING | \
	 SECONDARY_RDSEED_EXITING)

/* With paging and PAE, and not in long mode: SDM 3A 4.1.1. */
static inline bool pae_paging(const struct vmx *v)
{
	return !(v->efer & EFER_LME) && vmread(VMCS_GUEST_CR4) & CR4_PAE &&
	       vmread(VMCS_GUEST_CR0) & CR0_PG;
}

static void save_injection(const struct ec *ec, struct utcb *u)
{
	bool entry = vmx_not_entered(ec);
	uint32_t info = vmread32(entry ? VMCS_ENTRY_INTERRUPTION : VMCS_IDT_VECTORING);

	info &= INJECT_EVENT;
	u->inject = info;
	if (unlikely(info & INJECT_VALID) && info & INJECT_ERROR_CODE) {
		u->inject_error = vmread32(entry ? VMCS_ENTRY_ERROR_CODE
						 : VMCS_IDT_VECTORING_ERROR);
	}
}

/* Access rights, by bytes: the reverse of vmx_rights_from_utcb(). */
static ALWAYS_INLINE void put_segment(struct segment *s, uint64_t selector, uint64_t rights,
				      uint64_t limit, uint64_t base)
{
	uint8_t *byte = (uint8_t *)&s->rights;

	s->selector = (uint16_t)selector;
	byte[0] = (uint8_t)rights;
	byte[1] = (uint8_t)(rights >> 12);
	s->limit = (uint32_t)limit;
	s->base = base;
}

static ALWAYS_INLINE void save_segment(struct segment *s, struct segment *seen, enum vmcs_segment i)
{
	uint64_t selector = vmread(vmcs_of(VMCS_GUEST_SELECTOR, i));
	uint64_t rights = vmread(vmcs_of(VMCS_GUEST_RIGHTS, i));
	uint64_t limit = vmread(vmcs_of(VMCS_GUEST_LIMIT, i));
	uint64_t base = vmread(vmcs_of(VMCS_GUEST_BASE, i));

	put_segment(s, selector, rights, limit, base);
	put_segment(seen, selector, rights, limit, base);
}

#define SAVE_SEGMENT(bit, name, NAME) \
	if (mtd & (bit))              \
		save_segment(&u->name, &seen->segment[VMCS_##NAME], VMCS_##NAME);
#define SAVE_TABLE(bit, name, NAME)                                                     \
	if (mtd & (bit)) {                                                              \
		seen->name.limit = u->name.limit = vmread32(VMCS_GUEST_##NAME##_LIMIT); \
		seen->name.base = u->name.base = vmread(VMCS_GUEST_##NAME##_BASE);      \
	}
#define SAVE_KEPT(bit, name, NAME) \
	if (mtd & (bit))           \
		MOVE(u->name, v->name);
#define SAVE_MSR(bit, name, NAME) \
	if (mtd & (bit))          \
		MOVE(u->name, v->guest_msr[VMX_##NAME].value);

/* What few exits need, of what is free under KVM. */
static ALWAYS_INLINE void save_some(const struct ec *ec, const struct vmx *v, struct utcb *u,
				    uint64_t mtd)
{
	if (mtd & MTD_RSP)
		vmread_to(&u->rsp, VMCS_GUEST_RSP);
	if (mtd & MTD_RFLAGS)
		vmread_to(&u->rflags, VMCS_GUEST_RFLAGS);
	if (mtd & MTD_QUAL) {
		vmread_to(&u->qual[0], VMCS_EXIT_QUALIFICATION);
		vmread_to(&u->qual[1], VMCS_GUEST_PHYSICAL_ADDRESS);
	}
	if (mtd & MTD_INJ)
		save_injection(ec, u);
	if (mtd & MTD_STA) {
		u->interruptibility = vmread32(VMCS_GUEST_INTERRUPTIBILITY);
		u->activity = v->activity ? vmread32(VMCS_GUEST_ACTIVITY) : 0;
	}
}

static ALWAYS_INLINE void save_control(struct vmx *v, struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_CR) {
		u->cr0 = (vmread(VMCS_GUEST_CR0) & ~vmx_caps.cr0_host) | v->cr0_shadow;
		u->cr2 = v->cr2;
		vmread_to(&u->cr3, VMCS_GUEST_CR3);
		u->cr4 = (vmread(VMCS_GUEST_CR4) & ~vmx_caps.cr4_host) | v->cr4_shadow;
	}
	if (mtd & MTD_DR)
		u->dr7 = v->seen.dr7 = vmread(VMCS_GUEST_DR7);
	if (mtd & MTD_EFER)
		u->efer = v->seen.efer = vmread(VMCS_GUEST_EFER);
	if (mtd & MTD_PDPTE && unlikely(pae_paging(v)))
		for (unsigned i = 0; i < 4; i++)
			vmread_to(&u->pdpte[i], VMCS_GUEST_PDPTE0 + 2 * i);
}

/* mtd: what is saved; bits of `all`, or a constant that they are. */
static ALWAYS_INLINE void save(struct ec *ec, struct utcb *u, uint64_t all, uint64_t mtd)
{
	struct vmx *v = vmx_of(ec);
	struct vmx_seen *seen = &v->seen;

	u->mtd = all;
	u->exit_reason = ec->event;
	if (mtd & MTD_RIP_LEN) {
		vmread_to(&u->rip, VMCS_GUEST_RIP);
		vmread_to(&u->length, VMCS_EXIT_INSTRUCTION_LENGTH);
	}
	if (mtd & MTD_GPRS)
		vcpu_save_gprs(&ec->regs, &ec->regs.rax, u, mtd);
	if (mtd & MTD_SOME)
		save_some(ec, v, u, mtd);
	if (mtd & MTD_SEEN)
		v->seen_mtd |= (uint32_t)mtd;
	if (mtd & MTD_SEGMENTS) {
		STATE_SEGMENTS(SAVE_SEGMENT)
		STATE_TABLES(SAVE_TABLE)
	}
	if (mtd & MTD_CONTROL)
		save_control(v, u, mtd);
	if (mtd & MTD_KEPT) {
		STATE_SYSENTER(SAVE_KEPT)
		STATE_SYSCALL(SAVE_MSR)
		if (mtd & MTD_TPR) {
			u->tpr = *vmx_tpr(v);
			u->tpr_threshold = v->tpr_threshold;
		}
		vcpu_save_kept(ec, &v->vcpu, u, mtd, all);
	}
}

VARIANT(save_whole, struct utcb, save(ec, u, mtd, MTD_WHOLE))

/* Another vCPU's VMCS may be loaded, as when this one is recalled. */
__attribute__((noinline)) static void save_more(struct ec *ec, struct utcb *u, uint64_t mtd)
{
	if (!vmx_is_current(ec))
		vmx_make_current(ec);
	save(ec, u, mtd, mtd);
}

void vmx_save(struct ec *ec, struct utcb *u, uint64_t mtd)
{
	if (unlikely(!vmx_is_current(ec)))
		save_more(ec, u, mtd);
	else if (likely(!(mtd & MTD_REST)))
		save(ec, u, mtd, mtd & ~MTD_REST);
	else if ((mtd & MTD_WHOLE) == MTD_WHOLE)
		save_whole(ec, u, mtd);
	else
		save_more(ec, u, mtd);
}

/*
 * What an exit reported may be given back as it came. The event's field is
 * clear after every entry (SDM 3C 28.8.3), so that nothing need be written for
 * no event, unless there was no entry. Windows are exits when the guest can
 * take an interrupt, or an NMI. Type 7 is no event, and Bochs stops at it; 1 is
 * refused by all.
 */
static void load_injection(struct ec *ec, struct vmx *v, const struct utcb *u, uint64_t mtd)
{
	enum { OTHER = 7 << 8, RESERVED = 1 << 8 };
	uint32_t primary = v->primary & ~(uint32_t)PRIMARY_WINDOWS;
	uint32_t info = u->inject;

	if (info & INJECT_INTERRUPT_WINDOW)
		primary |= PRIMARY_INTERRUPT_WINDOW;
	if (info & INJECT_NMI_WINDOW)
		primary |= PRIMARY_NMI_WINDOW & vmx_caps.may[VMX_PRIMARY];
	vmx_set_primary(v, primary);
	if (!(info & INJECT_VALID)) {
		if (vmx_not_entered(ec))
			vmwrite(VMCS_ENTRY_INTERRUPTION, 0);
		return;
	}
	if (info & INJECT_ERROR_CODE)
		vmwrite(VMCS_ENTRY_ERROR_CODE, u->inject_error);
	if ((info & INJECT_TYPE) == OTHER) {
		info ^= OTHER ^ RESERVED;
	} else if ((info & INJECT_TYPE) >= INJECT_SOFT_INTERRUPT) {
		vmwrite(VMCS_ENTRY_INSTRUCTION_LENGTH,
			mtd & MTD_RIP_LEN ? u->length : vmread(VMCS_EXIT_INSTRUCTION_LENGTH));
	}
	vmwrite(VMCS_ENTRY_INTERRUPTION, info & INJECT_EVENT);
}

/*
 * No interrupt ends shutdown, nor waiting for a SIPI: the CPU would be lost to
 * whoever asks for one of these (SDM 3C 26.7.2). Entry with the invalid one
 * fails, and the VMM is told so.
 */
static ALWAYS_INLINE void load_activity(struct vmx *v, const struct utcb *u)
{
	enum { ACTIVITY_INVALID = 4 };

	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, u->interruptibility);
	if (unlikely(u->activity | v->activity)) {
		v->activity = u->activity <= ACTIVITY_HLT ? u->activity : ACTIVITY_INVALID;
		vmwrite(VMCS_GUEST_ACTIVITY, v->activity);
	}
}

static ALWAYS_INLINE void load_segment(const struct segment *s, const struct segment *old,
				       enum vmcs_segment i, bool seen)
{
	uint64_t low, old_low;

	__builtin_memcpy(&low, s, sizeof(low));
	__builtin_memcpy(&old_low, old, sizeof(old_low));
	if (seen && likely(low == old_low && s->base == old->base))
		return;
	vmwrite(vmcs_of(VMCS_GUEST_SELECTOR, i), s->selector);
	vmwrite(vmcs_of(VMCS_GUEST_RIGHTS, i), vmx_rights_from_utcb(s->rights));
	vmwrite(vmcs_of(VMCS_GUEST_LIMIT, i), s->limit);
	vmwrite(vmcs_of(VMCS_GUEST_BASE, i), s->base);
}

/* The kernel knows what the field has. */
static ALWAYS_INLINE void write_changed(uint64_t *known, uint64_t value, enum vmcs_field field)
{
	if (unlikely(*known != value)) {
		*known = value;
		vmwrite(field, value);
	}
}

/*
 * The guest's own bits go to the register, the others to the read shadow; in
 * the register those have the value that VMX or the kernel needs.
 */
static ALWAYS_INLINE void load_cr(struct vmx *v, const struct utcb *u)
{
	uint64_t cr0 = vmx_caps.cr0_host, cr4 = vmx_caps.cr4_host;

	vmwrite(VMCS_GUEST_CR0, (u->cr0 & ~cr0) | vmx_caps.cr0_fixed);
	vmwrite(VMCS_GUEST_CR3, u->cr3);
	vmwrite(VMCS_GUEST_CR4, (u->cr4 & ~cr4) | vmx_caps.cr4_fixed);
	v->cr2 = u->cr2;
	write_changed(&v->cr0_shadow, u->cr0 & cr0, VMCS_CR0_SHADOW);
	write_changed(&v->cr4_shadow, u->cr4 & cr4, VMCS_CR4_SHADOW);
}

static void load_controls(struct vmx *v, const struct utcb *u)
{
	uint32_t asked = u->ctrl[0] & PRIMARY_VMM & vmx_caps.may[VMX_PRIMARY];
	uint32_t primary = vmx_caps.set[VMX_PRIMARY] | (v->primary & PRIMARY_WINDOWS);
	uint32_t secondary = vmx_caps.set[VMX_SECONDARY] |
			     (u->ctrl[1] & SECONDARY_VMM & vmx_caps.may[VMX_SECONDARY]);

	if (asked & PRIMARY_TPR_SHADOW)
		primary &= ~(uint32_t)PRIMARY_CR8;
	if (v->vcpu.debugs)
		primary &= ~(uint32_t)PRIMARY_MOV_DR_EXITING;
	v->asked = asked;
	vmx_set_primary(v, primary | asked);
	if (secondary != v->secondary) {
		v->secondary = secondary;
		vmwrite(VMCS_SECONDARY_CONTROLS, secondary);
	}
}

void vmx_count_msrs(struct vmx *v)
{
	uint32_t n = VMX_KERNEL_GS_BASE + 1;

	if (v->vcpu.tsc_aux != v->host_msr[VMX_TSC_AUX].value)
		n = VMX_TSC_AUX + 1;
	else if (v->efer & EFER_SCE)
		n = VMX_SFMASK + 1;
	if (n != v->msr_count) {
		v->msr_count = n;
		vmwrite(VMCS_ENTRY_MSR_LOAD_COUNT, n);
		vmwrite(VMCS_EXIT_MSR_LOAD_COUNT, n);
	}
}

static ALWAYS_INLINE void load_tpr(struct vmx *v, const struct utcb *u)
{
	*vmx_tpr(v) = u->tpr & 0xff;
	if (unlikely(u->tpr_threshold != v->tpr_threshold) &&
	    vmx_caps.may[VMX_PRIMARY] & PRIMARY_TPR_SHADOW) {
		v->tpr_threshold = u->tpr_threshold;
		vmwrite(VMCS_TPR_THRESHOLD, v->tpr_threshold);
	}
}

/*
 * What seldom is different, or is much work anyway, comes last, so that nothing
 * need be kept for after it. Which paging mode it is, is known only when CR and
 * EFER are written. The processor may have changed LMA, and an entry control
 * with it.
 */
__attribute__((noinline)) static void load_different(struct ec *ec, struct vmx *v,
						     const struct utcb *u, uint64_t mtd, bool seen)
{
	if (mtd & MTD_INJ)
		load_injection(ec, v, u, mtd);
	if (mtd & MTD_CTRL)
		load_controls(v, u);
	if (mtd & MTD_DR && u->dr7 & DR7_ENABLED)
		vmx_use_debug(ec);
	if (mtd & MTD_EFER && (!seen || u->efer != v->seen.efer)) {
		v->efer = u->efer;
		vmwrite(VMCS_GUEST_EFER, v->efer);
		vmwrite(VMCS_ENTRY_CONTROLS,
			vmx_caps.set[VMX_ENTRY] | (v->efer & EFER_LMA ? ENTRY_GUEST_64 : 0));
		vmx_count_msrs(v);
	}
	if (mtd & MTD_PDPTE && pae_paging(v))
		for (unsigned i = 0; i < 4; i++)
			vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, u->pdpte[i]);
	if (mtd & MTD_TSC && u->tsc_offset) {
		v->vcpu.tsc_offset += u->tsc_offset;
		vmwrite(VMCS_TSC_OFFSET, v->vcpu.tsc_offset);
	}
	if (mtd & MTD_TSC_AUX && v->secondary & SECONDARY_RDTSCP) {
		v->vcpu.tsc_aux = (uint32_t)u->tsc_aux;
		v->guest_msr[VMX_TSC_AUX].value = v->vcpu.tsc_aux;
		vmx_count_msrs(v);
	}
	vcpu_load_xsave(ec, u, mtd);
}

static ALWAYS_INLINE bool differs(const struct ec *ec, const struct vmx *v, const struct utcb *u,
				  uint64_t mtd, bool seen)
{
	return (mtd & MTD_INJ && (unlikely(u->inject | (v->primary & PRIMARY_WINDOWS)) ||
				  unlikely(vmx_not_entered(ec)))) ||
	       (mtd & MTD_EFER && (!seen || u->efer != v->seen.efer)) ||
	       (mtd & MTD_DR && u->dr7 & DR7_ENABLED && !v->vcpu.debugs) ||
	       (mtd & MTD_PDPTE && pae_paging(v)) || vcpu_kept_differs(ec, &v->vcpu, u, mtd);
}

#define LOAD_SEGMENT(bit, name, NAME)                                                  \
	if (mtd & (bit)) {                                                             \
		load_segment(&u->name, &old->segment[VMCS_##NAME], VMCS_##NAME, seen); \
	}
#define LOAD_TABLE(bit, name, NAME)                                                          \
	if (mtd & (bit) &&                                                                   \
	    !(seen && u->name.limit == old->name.limit && u->name.base == old->name.base)) { \
		vmwrite(VMCS_GUEST_##NAME##_LIMIT, u->name.limit);                           \
		vmwrite(VMCS_GUEST_##NAME##_BASE, u->name.base);                             \
	}
#define LOAD_KEPT(bit, name, NAME)                                   \
	if (mtd & (bit)) {                                           \
		write_changed(&v->name, u->name, VMCS_GUEST_##NAME); \
	}
#define LOAD_MSR(bit, name, NAME)                              \
	if (mtd & (bit)) {                                     \
		MOVE(v->guest_msr[VMX_##NAME].value, u->name); \
	}

/*
 * mtd: what is loaded; bits of `all`, or a constant that they are. seen: what
 * is to be compared was shown at this exit.
 */
static ALWAYS_INLINE void load(struct ec *ec, const struct utcb *u, uint64_t all, uint64_t mtd,
			       bool seen)
{
	struct vmx *v = vmx_of(ec);
	const struct vmx_seen *old = &v->seen;

	if (mtd & MTD_RIP_LEN)
		vmwrite(VMCS_GUEST_RIP, u->rip);
	if (mtd & MTD_GPRS)
		vcpu_load_gprs(&ec->regs, &ec->regs.rax, u, mtd);
	if (mtd & MTD_RSP)
		vmwrite(VMCS_GUEST_RSP, u->rsp);
	if (mtd & MTD_RFLAGS)
		vmwrite(VMCS_GUEST_RFLAGS, u->rflags);
	if (mtd & MTD_STA)
		load_activity(v, u);
	if (mtd & MTD_SEGMENTS) {
		STATE_SEGMENTS(LOAD_SEGMENT)
		STATE_TABLES(LOAD_TABLE)
	}
	if (mtd & MTD_CR)
		load_cr(v, u);
	if (mtd & MTD_DR && (!seen || unlikely(u->dr7 != old->dr7)))
		vmwrite(VMCS_GUEST_DR7, u->dr7);
	if (mtd & MTD_KEPT) {
		STATE_SYSENTER(LOAD_KEPT)
		STATE_SYSCALL(LOAD_MSR)
		if (mtd & MTD_TPR)
			load_tpr(v, u);
	}
	if (mtd & MTD_REST)
		v->seen_mtd = 0;
	if (mtd & (MTD_REST | MTD_INJ) &&
	    (differs(ec, v, u, mtd, seen) || all & (MTD_CTRL | MTD_FPU)))
		load_different(ec, v, u, all, seen);
}

VARIANT(load_whole, const struct utcb, load(ec, u, mtd, MTD_WHOLE, true))

/* Another vCPU's VMCS was loaded while the handler was at work, perhaps. */
__attribute__((noinline)) static void load_more(struct ec *ec, const struct utcb *u, uint64_t mtd)
{
	if (!vmx_is_current(ec))
		vmx_make_current(ec);
	load(ec, u, mtd, mtd, !(mtd & MTD_SEEN & ~vmx_of(ec)->seen_mtd));
}

void vmx_load(struct ec *ec, const struct utcb *u, uint64_t mtd)
{
	if (unlikely(!vmx_is_current(ec)))
		load_more(ec, u, mtd);
	else if (likely(!(mtd & MTD_REST)))
		load(ec, u, mtd, mtd & ~MTD_REST, true);
	else if ((mtd & MTD_WHOLE) == MTD_WHOLE && !(MTD_SEEN & ~vmx_of(ec)->seen_mtd))
		load_whole(ec, u, mtd);
	else
		load_more(ec, u, mtd);
}
