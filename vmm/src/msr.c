/*
 * A table of ranges of MSRs with functions to read and write them, and the
 * state that these need beyond what the exit brings. What is not in the table
 * gives #GP, and one message.
 */
#include "msr.h"

#include <stddef.h>

#include <lib/info.h>
#include <lib/log.h>
#include <lib/time.h>

#include "pvclock.h"
#include "vcpu.h"
#include "vm.h"
#include "walk.h"

enum {
	MSR_TSC = 0x10,
	MSR_PLATFORM_ID = 0x17,
	MSR_FEATURE_CONTROL = 0x3a,
	MSR_UCODE_WRITE = 0x79,
	MSR_UCODE_REVISION = 0x8b,
	MSR_MTRR_CAP = 0xfe,
	MSR_SYSENTER_CS = 0x174,
	MSR_SYSENTER_ESP = 0x175,
	MSR_SYSENTER_EIP = 0x176,
	MSR_MCG_CAP = 0x179,
	MSR_MCG_STATUS = 0x17a,
	MSR_MISC_ENABLE = 0x1a0,
	MSR_DEBUGCTL = 0x1d9,
	MSR_MTRR_VARIABLE = 0x200,
	MSR_MTRR_FIX64K = 0x250,
	MSR_MTRR_FIX16K = 0x258,
	MSR_MTRR_FIX4K = 0x268,
	MSR_PAT = 0x277,
	MSR_MTRR_DEFAULT = 0x2ff,

	/* AMD */
	MSR_SYSCFG = 0xc0010010,
	MSR_HWCR = 0xc0010015,
	MSR_NB_CFG = 0xc001001f,
	MSR_INT_PENDING = 0xc0010055,
	MSR_VM_CR = 0xc0010114,
	MSR_LS_CFG = 0xc0011020,
	MSR_IC_CFG = 0xc0011021,
	MSR_DE_CFG = 0xc0011029,

	MSR_EFER = 0xc0000080,
	MSR_STAR = 0xc0000081,
	MSR_LSTAR = 0xc0000082,
	MSR_CSTAR = 0xc0000083,
	MSR_SFMASK = 0xc0000084,
	MSR_FS_BASE = 0xc0000100,
	MSR_GS_BASE = 0xc0000101,
	MSR_KERNEL_GS_BASE = 0xc0000102,
	MSR_TSC_AUX = 0xc0000103,

	MISC_FAST_STRINGS = 1 << 0,
	MISC_BTS_UNAVAILABLE = 1 << 11,
	MISC_PEBS_UNAVAILABLE = 1 << 12,

	MTRR_CAP_FIXED = 1 << 8,
	MTRR_CAP_WC = 1 << 10,
	MTRR_VALID = 1 << 11, /* also: enable, of the default */
	MTRR_FIXED_ENABLE = 1 << 10,
	MTRR_WB = 6,
	MTRR_UC = 0,

	FEATURE_CONTROL_LOCKED = 1 << 0,
	HWCR_TSC_FREQUENCY = 1 << 24, /* it counts at P0's frequency */
	VM_CR_LOCK = 1 << 3,
	VM_CR_SVMDIS = 1 << 4,
	DE_CFG_LFENCE_SERIALIZES = 1 << 1,

	EFER_WRITABLE = EFER_SCE | EFER_LME | EFER_NXE,
};

#define PAT_RESET   0x0007040600070406ull
#define UCODE_INTEL 0x0000000100000000ull
#define UCODE_AMD   0x01000065ull

struct msr {
	uint32_t first, last;
	bool (*read)(struct vcpu *v, uint32_t msr, uint64_t *value);
	bool (*write)(struct vcpu *v, uint32_t msr, uint64_t value);
	uint64_t constant; /* for read_constant */
	uint64_t mtd;	   /* what else of the state they want */
};

static const struct msr *find(uint32_t msr);

static bool read_constant(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)v;
	*value = find(msr)->constant;
	return true;
}

static bool write_ignored(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)v;
	(void)msr;
	(void)value;
	return true;
}

static bool is_canonical(uint64_t value)
{
	return (uint64_t)((int64_t)(value << 16) >> 16) == value;
}

static bool read_apic(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	return lapic_msr_read(&v->lapic, msr, value);
}

static bool write_apic(struct vcpu *v, uint32_t msr, uint64_t value)
{
	return lapic_msr_write(&v->lapic, msr, value);
}

static bool read_tsc(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = vcpu_tsc(v);
	return true;
}

/* exit_wrmsr() tells the kernel. */
static bool write_tsc(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	v->msrs.tsc_offset = value - time_tsc();
	lapic_set_tsc_offset(&v->lapic, v->msrs.tsc_offset);
	return true;
}

uint64_t msr_efer(const struct vcpu *v)
{
	uint64_t lma = (v->msrs.efer & EFER_LME) && (v->utcb->cr0 & CR0_PG) ? EFER_LMA : 0;

	return v->msrs.efer | lma | v->vm->vendor->efer;
}

static bool read_efer(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = msr_efer(v) & ~v->vm->vendor->efer;
	return true;
}

static bool write_efer(struct vcpu *v, uint32_t msr, uint64_t value)
{
	bool paging = (v->utcb->cr0 & CR0_PG) != 0;

	(void)msr;
	value &= ~(uint64_t)EFER_LMA;
	if ((value & ~(uint64_t)EFER_WRITABLE) || (paging && ((value ^ v->msrs.efer) & EFER_LME)))
		return false;
	v->msrs.efer = value;
	v->utcb->efer = msr_efer(v);
	v->mtd |= MTD_EFER;
	return true;
}

/* Four that one MTD bit moves; kernel_gs_base with them is the guest's own. */
static uint64_t *syscall_msr(struct vcpu *v, uint32_t msr)
{
	switch (msr) {
	case MSR_STAR:
		return &v->msrs.star;
	case MSR_LSTAR:
		return &v->msrs.lstar;
	case MSR_CSTAR:
		return &v->msrs.cstar;
	default:
		return &v->msrs.sfmask;
	}
}

static bool read_syscall(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = *syscall_msr(v, msr);
	return true;
}

static bool write_syscall(struct vcpu *v, uint32_t msr, uint64_t value)
{
	struct utcb *u = v->utcb;

	if ((msr == MSR_LSTAR || msr == MSR_CSTAR) && !is_canonical(value))
		return false;
	*syscall_msr(v, msr) = value;
	u->star = v->msrs.star;
	u->lstar = v->msrs.lstar;
	u->cstar = v->msrs.cstar;
	u->sfmask = v->msrs.sfmask;
	v->mtd |= MTD_SYSCALL;
	return true;
}

/* The bases: most kernels let the guest at them itself. */

static bool read_base(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = msr == MSR_FS_BASE ? v->utcb->fs.base : v->utcb->gs.base;
	return true;
}

static bool write_base(struct vcpu *v, uint32_t msr, uint64_t value)
{
	struct utcb *u = v->utcb;

	if (!is_canonical(value))
		return false;
	*(msr == MSR_FS_BASE ? &u->fs.base : &u->gs.base) = value;
	v->mtd |= MTD_FS_GS;
	return true;
}

static bool read_kernel_gs_base(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = v->utcb->kernel_gs_base;
	return true;
}

static bool write_kernel_gs_base(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	if (!is_canonical(value))
		return false;
	v->utcb->kernel_gs_base = value;
	v->mtd |= MTD_SYSCALL;
	return true;
}

static uint64_t *sysenter_msr(struct vcpu *v, uint32_t msr)
{
	switch (msr) {
	case MSR_SYSENTER_CS:
		return &v->msrs.sysenter_cs;
	case MSR_SYSENTER_ESP:
		return &v->msrs.sysenter_rsp;
	default:
		return &v->msrs.sysenter_rip;
	}
}

static bool read_sysenter(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = *sysenter_msr(v, msr);
	return true;
}

static bool write_sysenter(struct vcpu *v, uint32_t msr, uint64_t value)
{
	struct utcb *u = v->utcb;

	if (!is_canonical(value))
		return false;
	*sysenter_msr(v, msr) = value;
	u->sysenter_cs = v->msrs.sysenter_cs;
	u->sysenter_rsp = v->msrs.sysenter_rsp;
	u->sysenter_rip = v->msrs.sysenter_rip;
	v->mtd |= MTD_SYSENTER;
	return true;
}

static bool read_tsc_aux(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = v->msrs.tsc_aux;
	return true;
}

static bool write_tsc_aux(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	if (value >> 32)
		return false;
	v->msrs.tsc_aux = value;
	v->utcb->tsc_aux = value;
	v->mtd |= MTD_TSC_AUX;
	return true;
}

/*
 * Memory types: kept for the guest to read. What it gets is what nested
 * paging says, which for RAM is write-back.
 */
static uint64_t *memory_type(struct vcpu *v, uint32_t msr)
{
	struct msrs *m = &v->msrs;

	if (msr == MSR_PAT)
		return &m->pat;
	if (msr == MSR_MTRR_DEFAULT)
		return &m->mtrr_default;
	if (msr < MSR_MTRR_FIX64K)
		return &m->mtrr_variable[msr - MSR_MTRR_VARIABLE];
	if (msr >= MSR_MTRR_FIX4K)
		return &m->mtrr_fixed[3 + msr - MSR_MTRR_FIX4K];
	return &m->mtrr_fixed[msr == MSR_MTRR_FIX64K ? 0 : 1 + msr - MSR_MTRR_FIX16K];
}

static bool read_memory_type(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = *memory_type(v, msr);
	return true;
}

static bool write_memory_type(struct vcpu *v, uint32_t msr, uint64_t value)
{
	*memory_type(v, msr) = value;
	return true;
}

static bool read_misc_enable(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = v->msrs.misc_enable;
	return cpuid_is_intel(&v->cpuid);
}

static bool write_misc_enable(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	v->msrs.misc_enable = (value & MISC_FAST_STRINGS) | MISC_BTS_UNAVAILABLE |
			      MISC_PEBS_UNAVAILABLE;
	return cpuid_is_intel(&v->cpuid);
}

static bool read_ucode(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = cpuid_is_intel(&v->cpuid) ? UCODE_INTEL : UCODE_AMD;
	return true;
}

static bool read_intel(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	return read_constant(v, msr, value) && cpuid_is_intel(&v->cpuid);
}

static bool read_amd(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	return read_constant(v, msr, value) && !cpuid_is_intel(&v->cpuid);
}

static bool write_amd(struct vcpu *v, uint32_t msr, uint64_t value)
{
	(void)msr;
	(void)value;
	return !cpuid_is_intel(&v->cpuid);
}

static bool read_pvclock(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	*value = msr == MSR_PVCLOCK_WALL ? v->msrs.pvclock_wall : v->msrs.pvclock_system;
	return true;
}

static bool write_pvclock(struct vcpu *v, uint32_t msr, uint64_t value)
{
	const struct gmem *mem = &v->vm->machine.mem;

	if (msr == MSR_PVCLOCK_WALL) {
		v->msrs.pvclock_wall = value;
		return pvclock_write_wall(mem, value, v->vm->machine.wall_clock);
	}
	v->msrs.pvclock_system = value;
	return pvclock_write_system(mem, value, program_info->tsc_khz);
}

/* Those of the hot path first. No access is a NULL. */
static const struct msr table[] = {
	{MSR_X2APIC_FIRST, MSR_X2APIC_LAST, read_apic, write_apic, 0, 0},
	{MSR_TSC_DEADLINE, MSR_TSC_DEADLINE, read_apic, write_apic, 0, 0},
	{MSR_EFER, MSR_EFER, read_efer, write_efer, 0, MTD_CR},
	{MSR_STAR, MSR_SFMASK, read_syscall, write_syscall, 0, MTD_SYSCALL},
	{MSR_SYSENTER_CS, MSR_SYSENTER_EIP, read_sysenter, write_sysenter, 0, 0},
	{MSR_TSC_AUX, MSR_TSC_AUX, read_tsc_aux, write_tsc_aux, 0, 0},
	{MSR_FS_BASE, MSR_GS_BASE, read_base, write_base, 0, MTD_FS_GS},
	{MSR_KERNEL_GS_BASE, MSR_KERNEL_GS_BASE, read_kernel_gs_base, write_kernel_gs_base, 0,
	 MTD_SYSCALL},
	{MSR_APIC_BASE, MSR_APIC_BASE, read_apic, write_apic, 0, 0},
	{MSR_TSC, MSR_TSC, read_tsc, write_tsc, 0, 0},
	{MSR_PAT, MSR_PAT, read_memory_type, write_memory_type, 0, 0},
	{MSR_MTRR_CAP, MSR_MTRR_CAP, read_constant, NULL,
	 MTRR_VARIABLE | MTRR_CAP_FIXED | MTRR_CAP_WC, 0},
	{MSR_MTRR_VARIABLE, MSR_MTRR_VARIABLE + 2 * MTRR_VARIABLE - 1, read_memory_type,
	 write_memory_type, 0, 0},
	{MSR_MTRR_FIX64K, MSR_MTRR_FIX64K, read_memory_type, write_memory_type, 0, 0},
	{MSR_MTRR_FIX16K, MSR_MTRR_FIX16K + 1, read_memory_type, write_memory_type, 0, 0},
	{MSR_MTRR_FIX4K, MSR_MTRR_FIX4K + 7, read_memory_type, write_memory_type, 0, 0},
	{MSR_MTRR_DEFAULT, MSR_MTRR_DEFAULT, read_memory_type, write_memory_type, 0, 0},
	{MSR_MISC_ENABLE, MSR_MISC_ENABLE, read_misc_enable, write_misc_enable, 0, 0},
	{MSR_UCODE_REVISION, MSR_UCODE_REVISION, read_ucode, write_ignored, 0, 0},
	{MSR_UCODE_WRITE, MSR_UCODE_WRITE, NULL, write_ignored, 0, 0},
	{MSR_PVCLOCK_WALL, MSR_PVCLOCK_SYSTEM, read_pvclock, write_pvclock, 0, 0},

	/* There, and of no use to the guest. */
	{MSR_MCG_CAP, MSR_MCG_CAP, read_constant, NULL, 0, 0},
	{MSR_MCG_STATUS, MSR_MCG_STATUS, read_constant, write_ignored, 0, 0},
	{MSR_DEBUGCTL, MSR_DEBUGCTL, read_constant, write_ignored, 0, 0},
	{MSR_PLATFORM_ID, MSR_PLATFORM_ID, read_intel, NULL, 0, 0},
	{MSR_FEATURE_CONTROL, MSR_FEATURE_CONTROL, read_intel, NULL, FEATURE_CONTROL_LOCKED, 0},
	{MSR_SYSCFG, MSR_SYSCFG, read_amd, write_amd, 0, 0},
	{MSR_HWCR, MSR_HWCR, read_amd, write_amd, HWCR_TSC_FREQUENCY, 0},
	{MSR_NB_CFG, MSR_NB_CFG, read_amd, write_amd, 0, 0},
	{MSR_INT_PENDING, MSR_INT_PENDING, read_amd, write_amd, 0, 0},
	{MSR_VM_CR, MSR_VM_CR, read_amd, NULL, VM_CR_LOCK | VM_CR_SVMDIS, 0},
	{MSR_LS_CFG, MSR_IC_CFG, read_amd, write_amd, 0, 0},
	{MSR_DE_CFG, MSR_DE_CFG, read_amd, write_amd, DE_CFG_LFENCE_SERIALIZES, 0},
};

static const struct msr *find(uint32_t msr)
{
	for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (msr >= table[i].first && msr <= table[i].last)
			return &table[i];
	return NULL;
}

uint64_t msr_mtd(uint32_t msr)
{
	const struct msr *m = find(msr);

	return m != NULL ? m->mtd : 0;
}

static void log_unknown(struct vcpu *v, uint32_t msr, const char *access)
{
	struct msrs *m = &v->msrs;

	for (unsigned i = 0; i < m->unknowns; i++)
		if (m->unknown[i] == msr)
			return;
	if (m->unknowns < MSR_UNKNOWN_MAX) {
		m->unknown[m->unknowns++] = msr;
		log_info("msr: %s of 0x%x gives #GP", access, msr);
	}
}

bool msr_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	const struct msr *m = find(msr);
	bool ok = m != NULL && m->read != NULL && m->read(v, msr, value);

	if (!ok)
		log_unknown(v, msr, "read");
	return ok;
}

bool msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	const struct msr *m = find(msr);
	bool ok = m != NULL && m->write != NULL && m->write(v, msr, value);

	if (!ok)
		log_unknown(v, msr, "write");
	return ok;
}

/* As a firmware leaves them: RAM write-back, devices below 4 GiB uncached. */
void msr_reset(struct vcpu *v)
{
	struct msrs *m = &v->msrs;
	uint64_t bits = (1ull << cpuid_address_bits(&v->cpuid)) - 1;

	*m = (struct msrs){
		.xcr0 = 1,
		.pat = PAT_RESET,
		.misc_enable = MISC_FAST_STRINGS | MISC_BTS_UNAVAILABLE | MISC_PEBS_UNAVAILABLE,
		.mtrr_default = MTRR_WB | MTRR_VALID | MTRR_FIXED_ENABLE,
	};
	m->mtrr_variable[0] = GMEM_HOLE | MTRR_UC;
	m->mtrr_variable[1] = (bits & ~(GMEM_HIGH - GMEM_HOLE - 1)) | MTRR_VALID;
	for (unsigned i = 0; i < MTRR_FIXED; i++)
		m->mtrr_fixed[i] = 0x0606060606060606;
	m->mtrr_fixed[2] = 0; /* 0xa0000: VGA */
}
