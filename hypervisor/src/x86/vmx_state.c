/*
 * A vCPU's state on VMX, to and from a handler's UTCB: no field of the VMCS is
 * touched that the MTD does not name, and none is read that the guest cannot
 * change without an exit.
 *
 * Segments, tables, EFER and DR7 are dear under KVM and change seldom: struct
 * vmx remembers what was read of them since the last exit, so that nothing is
 * written that the VMM gives back as it was.
 *
 * What the processor checks at VM entry is not checked here: the VMM gets to
 * know as an invalid guest state.
 */
#include "vmx.h"

#include "vcpu_state.h"

/* Parts of the MTD. */
#define MTD_SEGMENTS (MTD_DS_ES | MTD_FS_GS | MTD_CS_SS | MTD_TR | MTD_LDTR | MTD_GDTR | MTD_IDTR)
#define MTD_SEEN     (MTD_SEGMENTS | MTD_DR | MTD_EFER)
/* What the VMCS does not have, or the kernel knows without looking. */
#define MTD_KEPT \
	(MTD_SYSENTER | MTD_SYSCALL | MTD_TPR | MTD_TSC | MTD_TSC_AUX | MTD_XSAVE | MTD_FPU)

#define PRIMARY_CR8	(PRIMARY_CR8_LOAD_EXITING | PRIMARY_CR8_STORE_EXITING)
#define PRIMARY_WINDOWS (PRIMARY_INTERRUPT_WINDOW | PRIMARY_NMI_WINDOW)

/* Of a segment or table; the tables have no more than limit and base. */
#define SEGMENT(name)                                                           \
	((unsigned)((offsetof(struct utcb, name) - offsetof(struct utcb, es)) / \
		    sizeof(struct segment)))
#define HAS_RIGHTS(i) ((i) < SEGMENT(gdtr))

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

/* By bytes: the reverse of vmx_rights_from_utcb(). */
static ALWAYS_INLINE void read_rights(struct segment *s, unsigned i)
{
	uint64_t rights = vmread(VMCS_GUEST_RIGHTS + i);
	uint8_t *byte = (uint8_t *)&s->rights;

	byte[0] = (uint8_t)rights;
	byte[1] = (uint8_t)(rights >> 12);
}

static ALWAYS_INLINE void see_segment(struct segment *s, unsigned i)
{
	if (HAS_RIGHTS(i)) {
		s->selector = (uint16_t)vmread(VMCS_GUEST_SELECTOR + i);
		read_rights(s, i);
	}
	s->limit = vmread32(VMCS_GUEST_LIMIT + i);
	vmread_to(&s->base, VMCS_GUEST_BASE + i);
}

/* What the guest may have changed is known again. */
static ALWAYS_INLINE void see(struct vmx *v, uint64_t mtd)
{
	v->seen_mtd |= (uint32_t)mtd;
#define SEE(bit, name)   \
	if (mtd & (bit)) \
		see_segment(&v->name, SEGMENT(name));
	STATE_SEGMENTS(SEE)
#undef SEE
	if (mtd & MTD_DR)
		vmread_to(&v->dr7, VMCS_GUEST_DR7);
	if (mtd & MTD_EFER)
		vmread_to(&v->efer, VMCS_GUEST_EFER);
}

/* What few exits have. */
static ALWAYS_INLINE void save_rest(struct ec *ec, struct vmx *v, struct utcb *u, uint64_t all,
				    uint64_t mtd)
{
#define SAVE(bit, name, ...) \
	if (mtd & (bit))     \
		MOVE(u->name, v->name);
#define SAVE_MSR(bit, name, NAME) \
	if (mtd & (bit))          \
		MOVE(u->name, v->guest_msr[VMX_##NAME].value);
	if (mtd & MTD_SEEN) {
		see(v, mtd);
		STATE_SEGMENTS(SAVE)
		SAVE(MTD_DR, dr7)
		SAVE(MTD_EFER, efer)
	}
	if (mtd & MTD_CR) {
		u->cr0 = (vmread(VMCS_GUEST_CR0) & ~vmx_caps.cr0_host) | v->cr0_shadow;
		u->cr2 = v->cr2;
		vmread_to(&u->cr3, VMCS_GUEST_CR3);
		u->cr4 = (vmread(VMCS_GUEST_CR4) & ~vmx_caps.cr4_host) | v->cr4_shadow;
	}
	if (mtd & MTD_RIGHTS) {
		read_rights(&u->cs, SEGMENT(cs));
		read_rights(&u->ss, SEGMENT(ss));
	}
	if (mtd & MTD_PDPTE && unlikely(pae_paging(v)))
		for (unsigned i = 0; i < 4; i++)
			vmread_to(&u->pdpte[i], VMCS_GUEST_PDPTE0 + i);
	if (!(mtd & MTD_KEPT))
		return;
	STATE_SYSENTER(SAVE)
	STATE_SYSCALL(SAVE_MSR)
	if (mtd & MTD_TPR) {
		u->tpr = *vmx_tpr(v);
		u->tpr_threshold = v->tpr_threshold;
	}
	vcpu_save_kept(ec, &v->vcpu, u, all, mtd);
}

/* mtd: what is saved; bits of `all`, or a constant that they are. */
static ALWAYS_INLINE void save(struct ec *ec, struct utcb *u, uint64_t all, uint64_t mtd)
{
	struct vmx *v = vmx_of(ec);

	u->mtd = all;
	u->exit_reason = ec->event;
	if (mtd & MTD_RIP_LEN) {
		vmread_to(&u->rip, VMCS_GUEST_RIP);
		vmread_to(&u->length, VMCS_EXIT_INSTRUCTION_LENGTH);
	}
	if (mtd & MTD_GPRS)
		state_save_gprs(&ec->regs, &ec->regs.rax, u, mtd);
	if (mtd & MTD_SOME) {
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
	if (mtd & MTD_REST)
		save_rest(ec, v, u, all, mtd);
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
	uint32_t info = ONCE(u->inject);
	uint32_t windows = (info & INJECT_INTERRUPT_WINDOW ? PRIMARY_INTERRUPT_WINDOW : 0) |
			   (info & INJECT_NMI_WINDOW ? PRIMARY_NMI_WINDOW : 0);

	vmx_set_primary(v, (v->primary & ~PRIMARY_WINDOWS) | (windows & vmx_caps.may[VMX_PRIMARY]));
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
	uint32_t activity = ONCE(u->activity);

	vmwrite(VMCS_GUEST_INTERRUPTIBILITY, u->interruptibility);
	if (unlikely(activity | v->activity)) {
		v->activity = activity <= ACTIVITY_HLT ? activity : ACTIVITY_INVALID;
		vmwrite(VMCS_GUEST_ACTIVITY, v->activity);
	}
}

static ALWAYS_INLINE void load_segment(struct segment *known, const struct segment *s, unsigned i)
{
	uint64_t low, known_low;

	__builtin_memcpy(&low, s, sizeof(low));
	__builtin_memcpy(&known_low, known, sizeof(known_low));
	if (likely(low == known_low && s->base == known->base))
		return;
	*known = *s;
	if (HAS_RIGHTS(i)) {
		vmwrite(VMCS_GUEST_SELECTOR + i, known->selector);
		vmwrite(VMCS_GUEST_RIGHTS + i, vmx_rights_from_utcb(known->rights));
	}
	vmwrite(VMCS_GUEST_LIMIT + i, known->limit);
	vmwrite(VMCS_GUEST_BASE + i, known->base);
}

static ALWAYS_INLINE void write_changed(uint64_t *known, uint64_t value, unsigned field)
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
	uint32_t asked = u->ctrl[0] & vmx_controls(VMX_PRIMARY, VMM) & vmx_caps.may[VMX_PRIMARY];
	uint32_t primary = vmx_caps.set[VMX_PRIMARY] | (v->primary & PRIMARY_WINDOWS);
	uint32_t secondary = vmx_caps.set[VMX_SECONDARY] |
			     (u->ctrl[1] & vmx_controls(VMX_SECONDARY, VMM) &
			      vmx_caps.may[VMX_SECONDARY]);

	if (asked & PRIMARY_TPR_SHADOW)
		primary &= ~PRIMARY_CR8;
	if (v->vcpu.debugs)
		primary &= ~PRIMARY_MOV_DR_EXITING;
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

void vmx_add_tsc(struct ec *ec, uint64_t ticks)
{
	vmx_need_current(ec);
	ec->vcpu->tsc_offset += ticks;
	vmwrite(VMCS_TSC_OFFSET, ec->vcpu->tsc_offset);
}

/*
 * What seldom is different, or is much work anyway, comes last, so that nothing
 * need be kept for after it. Which paging mode it is, is known only when CR and
 * EFER are written. The processor may have changed LMA, and an entry control
 * with it.
 */
static NOINLINE void load_different(struct ec *ec, struct vmx *v, const struct utcb *u,
				    uint64_t mtd)
{
	if (mtd & MTD_INJ)
		load_injection(ec, v, u, mtd);
	if (mtd & MTD_CTRL)
		load_controls(v, u);
	if (mtd & MTD_DR && v->dr7 & DR7_ENABLED)
		vmx_use_debug(ec);
	if (mtd & MTD_EFER && u->efer != v->efer) {
		v->efer = u->efer;
		vmwrite(VMCS_GUEST_EFER, v->efer);
		vmwrite(VMCS_ENTRY_CONTROLS,
			vmx_caps.set[VMX_ENTRY] | (v->efer & EFER_LMA ? ENTRY_GUEST_64 : 0));
		vmx_count_msrs(v);
	}
	if (mtd & MTD_PDPTE && pae_paging(v))
		for (unsigned i = 0; i < 4; i++)
			vmwrite(VMCS_GUEST_PDPTE0 + i, u->pdpte[i]);
	if (mtd & MTD_TSC && u->tsc_offset)
		vmx_add_tsc(ec, u->tsc_offset);
	if (mtd & MTD_TSC_AUX && u->tsc_aux != v->vcpu.tsc_aux && v->secondary & SECONDARY_RDTSCP) {
		v->guest_msr[VMX_TSC_AUX].value = v->vcpu.tsc_aux = (uint32_t)u->tsc_aux;
		vmx_count_msrs(v);
	}
	vcpu_load_xsave(ec, u, mtd);
}

/* mtd: what is loaded; bits of `all`, or a constant that they are. */
static ALWAYS_INLINE void load(struct ec *ec, const struct utcb *u, uint64_t all, uint64_t mtd)
{
	struct vmx *v = vmx_of(ec);

	if (mtd & MTD_RIP_LEN)
		vmwrite(VMCS_GUEST_RIP, u->rip);
	if (mtd & MTD_GPRS)
		state_load_gprs(&ec->regs, &ec->regs.rax, u, mtd);
	if (mtd & MTD_RSP)
		vmwrite(VMCS_GUEST_RSP, u->rsp);
	if (mtd & MTD_RFLAGS)
		vmwrite(VMCS_GUEST_RFLAGS, u->rflags);
	if (mtd & MTD_STA)
		load_activity(v, u);
#define LOAD_SEGMENT(bit, name) \
	if (mtd & (bit))        \
		load_segment(&v->name, &u->name, SEGMENT(name));
#define LOAD(bit, name, NAME) \
	if (mtd & (bit))      \
		write_changed(&v->name, u->name, VMCS_GUEST_##NAME);
#define LOAD_MSR(bit, name, NAME) \
	if (mtd & (bit))          \
		MOVE(v->guest_msr[VMX_##NAME].value, u->name);
	if (mtd & MTD_SEEN) {
		STATE_SEGMENTS(LOAD_SEGMENT)
		LOAD(MTD_DR, dr7, DR7)
	}
	if (mtd & MTD_CR)
		load_cr(v, u);
	if (mtd & MTD_KEPT) {
		STATE_SYSENTER(LOAD)
		STATE_SYSCALL(LOAD_MSR)
		if (mtd & MTD_TPR) {
			*vmx_tpr(v) = u->tpr & 0xff;
			v->tpr_threshold = u->tpr_threshold;
			if (vmx_caps.may[VMX_PRIMARY] & PRIMARY_TPR_SHADOW)
				vmwrite(VMCS_TPR_THRESHOLD, v->tpr_threshold);
		}
	}
	if ((mtd & MTD_INJ && (unlikely(u->inject | (v->primary & PRIMARY_WINDOWS)) ||
			       unlikely(vmx_not_entered(ec)))) ||
	    (mtd & MTD_EFER && u->efer != v->efer) || (mtd & MTD_PDPTE && pae_paging(v)) ||
	    (mtd & (MTD_KEPT | MTD_DR | MTD_CTRL) &&
	     vcpu_differs(ec, &v->vcpu, u, v->dr7, all, mtd)))
		load_different(ec, v, u, all);
}

/* Another vCPU's VMCS may be the current one, as when this is recalled. */
#define IS_CURRENT(ec, mtd)   vmx_is_current(ec)
#define NEED_CURRENT(ec, mtd) vmx_need_current(ec)

/* And all is known that may be as it was. */
static ALWAYS_INLINE bool is_seen(const struct ec *ec, uint64_t mtd)
{
	return vmx_is_current(ec) && !(mtd & MTD_SEEN & ~vmx_of(ec)->seen_mtd);
}

static void need_seen(struct ec *ec, uint64_t mtd)
{
	vmx_need_current(ec);
	if (unlikely(!is_seen(ec, mtd)))
		see(vmx_of(ec), mtd & MTD_SEEN & ~vmx_of(ec)->seen_mtd);
}

VCPU_MOVES(vmx_save, save, struct utcb, MTD_REST, MTD_WHOLE, IS_CURRENT, NEED_CURRENT)
VCPU_MOVES(vmx_load, load, const struct utcb, MTD_REST, MTD_WHOLE, is_seen, need_seen)
