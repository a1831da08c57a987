/*
 * Exits of Intel VMX: the event is the basic exit reason. SDM 3D appendix C,
 * qualifications: SDM 3C 28.2.1.
 */
#include "exit.h"

#include "vcpu.h"
#include "vm.h"

enum {
	/* Primary processor-based controls, SDM 3C table 25-6. */
	PRIMARY_HLT = 1 << 7,
	PRIMARY_MWAIT = 1 << 10,
	PRIMARY_RDPMC = 1 << 11,
	PRIMARY_CR8_LOAD = 1 << 19,
	PRIMARY_CR8_STORE = 1 << 20,
	PRIMARY_MONITOR = 1 << 29,

	/* Secondary ones, table 25-7. */
	SECONDARY_RDTSCP = 1 << 3,

	/* Exit qualification of I/O instructions. */
	IO_BYTES = 7, /* less 1 */
	IO_IN = 1 << 3,
	IO_STRING = 1 << 4,
	IO_PORT = 16, /* shift */

	/* Of control-register accesses. */
	CR_NUMBER = 0xf,
	CR_ACCESS = 3 << 4,
	CR_ACCESS_STORE = 1 << 4, /* MOV from CR */
	CR_REGISTER = 8,	  /* shift */
};

static void io(struct vcpu *v)
{
	uint64_t q = v->utcb->qual[0];
	const struct port_access access = {
		.port = (uint16_t)(q >> IO_PORT),
		.bytes = (uint8_t)((q & IO_BYTES) + 1),
		.in = (q & IO_IN) != 0,
		.string = (q & IO_STRING) != 0,
	};

	exit_port(v, &access);
}

static void cr_access(struct vcpu *v)
{
	uint64_t q = v->utcb->qual[0];
	unsigned cr = q & CR_NUMBER, access = q & CR_ACCESS;
	unsigned reg = q >> CR_REGISTER & 0xf;

	if (cr == 8 && access <= CR_ACCESS_STORE) {
		exit_cr8(v, reg, access != CR_ACCESS_STORE);
	} else if ((cr == 0 || cr == 4) && access < CR_ACCESS_STORE) {
		exit_mov_to_cr(v, cr, reg);
	} else {
		vm_fail(v,
			"unexpected access to a control register, "
			"qualification %llx",
			(unsigned long long)q);
	}
}

/* An instruction that the guest's processor does not have: #UD. */
#define REFUSED                                                  \
	{                                                        \
		exit_invalid_opcode, MTD_INJECTION, REASON_OTHER \
	}

static const struct exit exits[EVENTS_VCPU] = {
	[2] = {exit_shutdown, MTD_REPORT, REASON_OTHER},
	[7] = {exit_window, MTD_INJECTION, REASON_WINDOW},
	[8] = {exit_window, MTD_INJECTION, REASON_WINDOW}, /* NMI */
	[9] = {exit_task_switch, MTD_REPORT, REASON_OTHER},
	[10] = {exit_cpuid, MTD_GPR_ACDB | MTD_RIP_LEN | MTD_CR, REASON_CPUID},
	[12] = {exit_hlt, MTD_RIP_LEN | MTD_INJECTION | MTD_TSC, REASON_HLT},
	/* INVD */
	[13] = {exit_nothing, MTD_RIP_LEN | MTD_INJECTION, REASON_OTHER},
	[15] = REFUSED, /* RDPMC */
	[18] = REFUSED, /* VMCALL */
	[19] = REFUSED, /* VMCLEAR */
	[20] = REFUSED, /* VMLAUNCH */
	[21] = REFUSED, /* VMPTRLD */
	[22] = REFUSED, /* VMPTRST */
	[23] = REFUSED, /* VMREAD */
	[24] = REFUSED, /* VMRESUME */
	[25] = REFUSED, /* VMWRITE */
	[26] = REFUSED, /* VMXOFF */
	[27] = REFUSED, /* VMXON */
	[28] = {cr_access, MTD_REGISTERS | MTD_RIP_LEN | MTD_QUAL | MTD_CR | MTD_INJECTION,
		REASON_CR},
	[30] = {io, MTD_GPR_ACDB | MTD_RIP_LEN | MTD_QUAL | MTD_INJECTION, REASON_PORT},
	[31] = {exit_rdmsr, MTD_GPR_ACDB | MTD_RIP_LEN | MTD_INJECTION, REASON_RDMSR},
	[32] = {exit_wrmsr, MTD_GPR_ACDB | MTD_RIP_LEN | MTD_TSC | MTD_INJECTION, REASON_WRMSR},
	[33] = {exit_invalid_state, MTD_REPORT, REASON_OTHER},
	[36] = REFUSED, /* MWAIT */
	[39] = REFUSED, /* MONITOR */
	[48] = {exit_memory, MTD_EMULATION | MTD_QUAL, REASON_MEMORY},
	[50] = REFUSED, /* INVEPT */
	[53] = REFUSED, /* INVVPID */
	/* WBINVD */
	[54] = {exit_nothing, MTD_RIP_LEN | MTD_INJECTION, REASON_OTHER},
	[55] = {exit_xsetbv, MTD_GPR_ACDB | MTD_RIP_LEN | MTD_INJECTION, REASON_OTHER},
	[58] = REFUSED, /* INVPCID */
	[59] = REFUSED, /* VMFUNC */
	[EVENT_VCPU_STARTUP] = {exit_startup, 0, REASON_OTHER},
	[EVENT_VCPU_RECALL] = {exit_recall, MTD_INJECTION | MTD_TSC, REASON_RECALL},
};

const struct vendor vmx = {
	.name = "VMX",
	.exits = exits,
	.ctrl =
		{
			(uint32_t)(PRIMARY_HLT | PRIMARY_MWAIT | PRIMARY_RDPMC | PRIMARY_CR8_LOAD |
				   PRIMARY_CR8_STORE | PRIMARY_MONITOR),
			SECONDARY_RDTSCP,
		},
	.nmi_window = INJECT_NMI_WINDOW,
};
