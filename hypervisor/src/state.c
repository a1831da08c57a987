/*
 * Copy registers between an EC and a handler's UTCB. Bits that a thread does
 * not have are ignored.
 */
#include "state.h"

#include "ec.h"
#include "fpu.h"

/* SDM 1 3.4.3: what user mode may have in RFLAGS. */
#define RFLAGS_ALLOWED 0x244dd5ul /* ID AC NT OF DF TF SF ZF AF PF CF */

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
		state_save_gprs(r, &r->rax, u, mtd);
	if (mtd & MTD_FPU)
		fpu_save(ec, u);
}

void state_load(struct ec *ec, const struct utcb *u, uint64_t mtd)
{
	struct regs *r = &ec->regs;

	/* Made canonical: IRET faults in the kernel if it is to go to an address that is none. */
	if (mtd & MTD_RIP_LEN)
		r->rip = (uint64_t)((int64_t)(u->rip << 16) >> 16);
	if (mtd & (MTD_RSP | MTD_RFLAGS)) {
		if (mtd & MTD_RSP)
			r->rsp = u->rsp;
		if (mtd & MTD_RFLAGS)
			r->rflags = (u->rflags & RFLAGS_ALLOWED) | RFLAGS_USER;
	}
	if (mtd & MTD_GPRS)
		state_load_gprs(r, &r->rax, u, mtd);
	if (mtd & MTD_FPU)
		fpu_load(ec, u);
}
