/*
 * Copy registers between an EC and a handler's UTCB. Bits that a thread does
 * not have are ignored.
 */
#include "state.h"

#include "ec.h"
#include "fpu.h"

/* SDM 1 3.4.3: what user mode may have in RFLAGS. */
#define RFLAGS_ALLOWED 0x244dd5ul /* ID AC NT OF DF TF SF ZF AF PF CF */

/* Several registers each: seldom asked for, so tested for together. */
#define MTD_GPRS (MTD_GPR_ACDB | MTD_GPR_BSD | MTD_GPR_R8_R15)

/* IRET faults in the kernel if it is to go to an address that is none. */
static uint64_t canonical(uint64_t address)
{
	return (uint64_t)((int64_t)(address << 16) >> 16);
}

static void save_gprs(const struct regs *r, struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_GPR_ACDB) {
		u->rax = r->rax;
		u->rcx = r->rcx;
		u->rdx = r->rdx;
		u->rbx = r->rbx;
	}
	if (mtd & MTD_GPR_BSD) {
		u->rbp = r->rbp;
		u->rsi = r->rsi;
		u->rdi = r->rdi;
	}
	if (mtd & MTD_GPR_R8_R15) {
		u->r8 = r->r8;
		u->r9 = r->r9;
		u->r10 = r->r10;
		u->r11 = r->r11;
		u->r12 = r->r12;
		u->r13 = r->r13;
		u->r14 = r->r14;
		u->r15 = r->r15;
	}
}

static void load_gprs(struct regs *r, const struct utcb *u, uint64_t mtd)
{
	if (mtd & MTD_GPR_ACDB) {
		r->rax = u->rax;
		r->rcx = u->rcx;
		r->rdx = u->rdx;
		r->rbx = u->rbx;
	}
	if (mtd & MTD_GPR_BSD) {
		r->rbp = u->rbp;
		r->rsi = u->rsi;
		r->rdi = u->rdi;
	}
	if (mtd & MTD_GPR_R8_R15) {
		r->r8 = u->r8;
		r->r9 = u->r9;
		r->r10 = u->r10;
		r->r11 = u->r11;
		r->r12 = u->r12;
		r->r13 = u->r13;
		r->r14 = u->r14;
		r->r15 = u->r15;
	}
}

void state_save(struct ec *ec, struct utcb *u, uint64_t mtd)
{
	const struct regs *r = &ec->regs;

	u->mtd = mtd & MTD_THREAD;
	if (mtd & MTD_RIP_LEN) {
		u->rip = r->rip;
		u->length = 0;
	}
	if (mtd & (MTD_RSP | MTD_RFLAGS | MTD_QUAL)) {
		if (mtd & MTD_RSP)
			u->rsp = r->rsp;
		if (mtd & MTD_RFLAGS)
			u->rflags = r->rflags;
		if (mtd & MTD_QUAL) {
			u->qual[0] = r->error;
			u->qual[1] = ec->fault_address;
		}
	}
	if (mtd & MTD_GPRS)
		save_gprs(r, u, mtd);
	if (mtd & MTD_FPU)
		fpu_save(ec, u);
}

void state_load(struct ec *ec, const struct utcb *u, uint64_t mtd)
{
	struct regs *r = &ec->regs;

	if (mtd & MTD_RIP_LEN)
		r->rip = canonical(u->rip);
	if (mtd & (MTD_RSP | MTD_RFLAGS)) {
		if (mtd & MTD_RSP)
			r->rsp = u->rsp;
		if (mtd & MTD_RFLAGS)
			r->rflags = (u->rflags & RFLAGS_ALLOWED) | RFLAGS_USER;
	}
	if (mtd & MTD_GPRS)
		load_gprs(r, u, mtd);
	if (mtd & MTD_FPU)
		fpu_load(ec, u);
}
