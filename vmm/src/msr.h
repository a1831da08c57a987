/*
 * Model-specific registers, as far as accesses to them exit: all but the bases
 * of FS and GS. A table says which there are; others give #GP, as the
 * processor's own do, and are logged once each.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

enum { MSR_UNKNOWN_MAX = 64, MTRR_VARIABLE = 8, MTRR_FIXED = 11 };

/* Those that the guest may write and only it reads. */
struct msrs {
	uint64_t efer; /* as written: without LMA */
	uint64_t star, lstar, cstar, sfmask;
	uint64_t sysenter_cs, sysenter_rsp, sysenter_rip;
	uint64_t tsc_aux, tsc_offset, xcr0;
	uint64_t pat, misc_enable;
	uint64_t mtrr_default;
	uint64_t mtrr_variable[2 * MTRR_VARIABLE];
	uint64_t mtrr_fixed[MTRR_FIXED];
	uint64_t pvclock_wall, pvclock_system;

	uint32_t unknown[MSR_UNKNOWN_MAX]; /* already logged */
	unsigned unknowns;
};

void msr_reset(struct vcpu *v);

/* As the guest has it: it changes only by us, but for LMA. Needs MTD_CR. */
uint64_t msr_efer(const struct vcpu *v);

/* State beyond that of RDMSR's and WRMSR's exits, to access this one. */
uint64_t msr_mtd(uint32_t msr);

/* RDMSR and WRMSR; false: #GP. VM locked; state of exit_rdmsr, exit_wrmsr. */
[[nodiscard]] bool msr_read(struct vcpu *v, uint32_t msr, uint64_t *value);
[[nodiscard]] bool msr_write(struct vcpu *v, uint32_t msr, uint64_t value);
