/*
 * Offsets and constants for assembly: compiled to text, of which the build
 * makes offsets.h. FIELDS(ec, regs.rax) becomes EC_REGS_RAX.
 */
#include "../pd.h"
#include "../sm.h"
#include "mitigate.h"
#include "svm.h"
#include "vmx.h"

#define LINE(name, value)  __asm__("\n.ascii \"->" name " %c0\"" : : "i"(value));
#define FIELD(type, field) LINE(#type "_" #field, offsetof(struct type, field))
#define VALUE(none, name)  LINE(#name, name)

/* make(type, name) for each name. No macro is expanded in itself, but it is in the next scan. */
#define EACH(make, type, name, ...) \
	make(type, name) __VA_OPT__(LATER PARENTHESES(make, type, __VA_ARGS__))
#define LATER()	    EACH
#define PARENTHESES ()
#define SCAN(...)   SCAN9(SCAN9(SCAN9(__VA_ARGS__)))
#define SCAN9(...)  SCAN3(SCAN3(SCAN3(__VA_ARGS__)))
#define SCAN3(...)  __VA_ARGS__

#define FIELDS(type, ...) SCAN(EACH(FIELD, type, __VA_ARGS__))
#define VALUES(...)	  SCAN(EACH(VALUE, , __VA_ARGS__))

void offsets(void);

void offsets(void)
{
	FIELDS(cpu, current, fpu_live, fpu_owner, idle, io_bitmap, pd)
	FIELDS(cpu, stack, start_sp, tss, tss_short, vcpu_loaded)
	FIELDS(ec, pd, regs, resume, vcpu)
	FIELDS(ec, regs.r15, regs.r10, regs.rax, regs.rcx, regs.rdx, regs.rdi, regs.vector)
	FIELDS(ec, regs.rip, regs.rsp)
	FIELDS(mapping, object, object_type, rights)
	FIELDS(pd, cr3, guest_generation, io_bitmap, obj.low)
	FIELDS(regs, cs, rip, vector)
	FIELDS(sm, count, gsi, lock, waiters)
	FIELDS(svm, host_phys)
	FIELDS(tss, io_base, rsp0)
	FIELDS(vcpu, block_phys, generation)
	FIELDS(vmx, cr2, host_cr3, host_gdtr)
	LINE("EC_REGS_END", EC_REGS_END)
	VALUES(BAD_CAPABILITY, CALL_SM_CTRL, OBJECT_SM, SM_RIGHT_DOWN, SM_RIGHT_UP)
	VALUES(MITIGATE_CLEAR, MITIGATE_ENTRY, MITIGATE_EXIT, MITIGATE_SWITCH)
	VALUES(REASON_INVALID_STATE, TABLE_BITS, TABLE_ENTRIES, TSS_BITMAP, TSS_NO_BITMAP)
}
