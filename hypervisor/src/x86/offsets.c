/*
 * Offsets and constants for assembly: compiled to text, of which the build
 * makes offsets.h.
 */
#include "../ec.h"
#include "../pd.h"
#include "cpu.h"

#define VALUE(name, value) \
	__asm__("\n.ascii \"->" #name " %c0\"" : : "i"(value))
#define OFFSET(name, type, field) VALUE(name, offsetof(struct type, field))

void offsets(void);

void offsets(void)
{
	OFFSET(CPU_STACK_TOP, cpu, stack);
	OFFSET(CPU_CURRENT, cpu, current);
	OFFSET(CPU_PD, cpu, pd);
	OFFSET(CPU_FPU_LIVE, cpu, fpu_live);
	OFFSET(CPU_TSS_ADDRESS, cpu, tss);
	OFFSET(CPU_IDLE, cpu, idle);
	OFFSET(TSS_RSP0, tss, rsp0);

	OFFSET(EC_PD, ec, pd);
	OFFSET(EC_RESUME, ec, resume);
	OFFSET(EC_REGS, ec, regs);
	VALUE(EC_REGS_END, EC_REGS_END);
	OFFSET(EC_R15, ec, regs.r15);
	OFFSET(EC_R14, ec, regs.r14);
	OFFSET(EC_R13, ec, regs.r13);
	OFFSET(EC_R12, ec, regs.r12);
	OFFSET(EC_RBP, ec, regs.rbp);
	OFFSET(EC_RBX, ec, regs.rbx);
	OFFSET(EC_R11, ec, regs.r11);
	OFFSET(EC_R10, ec, regs.r10);
	OFFSET(EC_R9, ec, regs.r9);
	OFFSET(EC_R8, ec, regs.r8);
	OFFSET(EC_RAX, ec, regs.rax);
	OFFSET(EC_RCX, ec, regs.rcx);
	OFFSET(EC_RDX, ec, regs.rdx);
	OFFSET(EC_RSI, ec, regs.rsi);
	OFFSET(EC_RDI, ec, regs.rdi);
	OFFSET(EC_RIP, ec, regs.rip);
	OFFSET(EC_RSP, ec, regs.rsp);
	OFFSET(REGS_CS, regs, cs);
	OFFSET(REGS_RIP, regs, rip);
}
