/*
 * FPU state: whose is in the registers, and how it gets there.
 *
 * Between protection domains it is switched eagerly, so that no register ever
 * holds what belongs to another. Within one, and between a vCPU and its VMM's
 * handlers, it stays where it is with CR0.TS set until somebody else uses the
 * FPU.
 */
#pragma once

#include "types.h"

struct utcb;

void fpu_init(struct cpu *cpu);

/* A page with initial state. */
void *fpu_alloc(struct pd *payer);

/* Make the registers this EC's, XCR0 and XSS too. CR0.TS stays as it is. */
void fpu_switch(struct ec *ec);
/* #NM: this EC uses the FPU. */
void fpu_use(struct ec *ec);
/* Another PD runs: nothing of the owner, nor of a vCPU, stays in registers. */
void fpu_leave(struct cpu *cpu, struct ec *next);
/* User code may use the FPU, or traps (CR0.TS). */
void fpu_enable(struct cpu *cpu, bool on);
/* The EC leaves this CPU, or ends: if it is the owner, nobody is from now on. */
void fpu_drop(struct ec *ec);

/* To and from a UTCB's 2560 bytes. */
void fpu_save(struct ec *ec, struct utcb *utcb);
void fpu_load(struct ec *ec, const struct utcb *utcb);

/* Bits that this processor and the kernel support; 1 and 0 without XSAVE. */
extern uint64_t fpu_xcr0, fpu_xss;
