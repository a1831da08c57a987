/*
 * Offsets and constants for assembly: compiled to text, of which the build
 * makes offsets.h.
 */
#include "../ec.h"
#include "../pd.h"
#include "../sm.h"
#include "cpu.h"
#include "desc.h"
#include "mitigate.h"
#include "svm.h"
#include "vmx.h"

#define VALUE(name, value)	  __asm__("\n.ascii \"->" #name " %c0\"" : : "i"(value))
#define OFFSET(name, type, field) VALUE(name, offsetof(struct type, field))

void offsets(void);

void offsets(void)
{
	OFFSET(CPU_STACK_TOP, cpu, stack);
	OFFSET(CPU_START_SP, cpu, start_sp);
	OFFSET(CPU_CURRENT, cpu, current);
	OFFSET(CPU_PD, cpu, pd);
	OFFSET(CPU_SCRATCH, cpu, scratch);
	VALUE(MITIGATE_ENTRY, MITIGATE_ENTRY);
	VALUE(MITIGATE_SWITCH, MITIGATE_IBPB | MITIGATE_RETURNS);
	VALUE(MITIGATE_EXIT, MITIGATE_ENTRY | MITIGATE_RETURNS);
	VALUE(MITIGATE_CLEAR, MITIGATE_CLEAR);
	OFFSET(CPU_FPU_LIVE, cpu, fpu_live);
	OFFSET(CPU_TSS_ADDRESS, cpu, tss);
	OFFSET(CPU_IDLE, cpu, idle);
	OFFSET(CPU_FPU_OWNER, cpu, fpu_owner);
	OFFSET(CPU_IO_BITMAP, cpu, io_bitmap);
	OFFSET(CPU_TSS_SHORT, cpu, tss_short);
	OFFSET(TSS_IO, tss, io_base);
	VALUE(TSS_IO_NONE, TSS_IO_NONE);
	VALUE(TSS_IO_BASE, TSS_IO_BASE);
	OFFSET(PD_IO_BITMAP, pd, io_bitmap);
	OFFSET(PD_CR3, pd, cr3);
	OFFSET(PD_OBJ_ROOT, pd, obj.root);
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
	OFFSET(MAPPING_OBJECT, mapping, object);
	OFFSET(MAPPING_OBJECT_TYPE, mapping, object_type);
	OFFSET(MAPPING_RIGHTS, mapping, rights);
	OFFSET(SM_LOCK, sm, lock);
	OFFSET(SM_COUNT, sm, count);
	OFFSET(SM_WAITERS, sm, waiters);
	OFFSET(SM_GSI, sm, gsi);
	VALUE(CALL_SM_CTRL, CALL_SM_CTRL);
	VALUE(BAD_CAPABILITY, BAD_CAPABILITY);
	VALUE(OBJECT_SM, OBJECT_SM);
	VALUE(SM_RIGHT_UP, SM_RIGHT_UP);
	VALUE(SM_RIGHT_DOWN, SM_RIGHT_DOWN);
	VALUE(SPACE_ENTRIES_BITS, TABLE_BITS);
	VALUE(SPACE_ENTRIES, TABLE_ENTRIES);

	OFFSET(REGS_CS, regs, cs);
	OFFSET(REGS_RIP, regs, rip);

	OFFSET(CPU_VCPU_LOADED, cpu, vcpu_loaded);
	OFFSET(CPU_FPU_OWNER, cpu, fpu_owner);
	OFFSET(PD_GUEST_GENERATION, pd, guest_generation);
	OFFSET(EC_VCPU, ec, vcpu);
	OFFSET(EC_VECTOR, ec, regs.vector);
	OFFSET(VCPU_GENERATION, vcpu, generation);
	OFFSET(VMX_HOST_CR3, vmx, host_cr3);
	OFFSET(VMX_CR2, vmx, cr2);
	OFFSET(VMX_GDTR, vmx, gdtr);
	OFFSET(VCPU_BLOCK_PHYS, vcpu, block_phys);
	OFFSET(SVM_HOST_PHYS, svm, host_phys);
}
