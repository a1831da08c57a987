/*
 * Exits of AMD SVM: the event is the exit code. APM 2 appendix C, EXITINFO:
 * APM 2 15.9 to 15.13.
 *
 * SVM does not tell the instruction's length, but for I/O: see length.h.
 */
#include "exit.h"

#include "length.h"
#include "vcpu.h"
#include "vm.h"
#include "walk.h"

enum {
	/* Intercepts, the words at 0x0c and 0x10 of the VMCB, APM 2 B.1. */
	INTERCEPT_RDPMC = 1 << 15,
	INTERCEPT_CPUID = 1 << 18,
	INTERCEPT_IRET = 1 << 20,
	INTERCEPT_INVD = 1 << 22,
	INTERCEPT_HLT = 1 << 24,
	INTERCEPT_INVLPGA = 1 << 26,
	INTERCEPT_IOIO = 1 << 27,
	INTERCEPT_MSR = 1 << 28,
	INTERCEPT_TASK_SWITCH = 1 << 29,

	INTERCEPT_VMRUN = 1 << 0,
	INTERCEPT_VMMCALL = 1 << 1,
	INTERCEPT_VMLOAD = 1 << 2,
	INTERCEPT_VMSAVE = 1 << 3,
	INTERCEPT_STGI = 1 << 4,
	INTERCEPT_CLGI = 1 << 5,
	INTERCEPT_SKINIT = 1 << 6,
	INTERCEPT_WBINVD = 1 << 9,
	INTERCEPT_MONITOR = 1 << 10,
	INTERCEPT_MWAIT = 1 << 11,
	INTERCEPT_XSETBV = 1 << 13,

	/* EXITINFO1 of IOIO; EXITINFO2 is the next RIP. */
	IO_IN = 1 << 0,
	IO_STRING = 1 << 2,
	IO_BYTES = 4, /* shift of SZ8, SZ16, SZ32 */
	IO_PORT = 16, /* shift */

	MSR_WRITE = 1, /* EXITINFO1 of MSR */

	/* Second bytes of the opcodes. */
	MOV_FROM_CR = 0x20,
	MOV_TO_CR = 0x22,
};
#define INTERCEPT_SHUTDOWN (1u << 31)

#define BYTES(...)                                                 \
	{                                                          \
		sizeof((uint8_t[]){__VA_ARGS__}), {__VA_ARGS__}, 0 \
	}

static const struct opcode_bytes cpuid_bytes = BYTES(0x0f, 0xa2);
static const struct opcode_bytes hlt_bytes = BYTES(0xf4);
static const struct opcode_bytes rdmsr_bytes = BYTES(0x0f, 0x32);
static const struct opcode_bytes wrmsr_bytes = BYTES(0x0f, 0x30);
static const struct opcode_bytes xsetbv_bytes = BYTES(0x0f, 0x01, 0xd1);
/* INVD and WBINVD: QEMU exits for the one with the code of the other. */
static const struct opcode_bytes invd_bytes = {2, {0x0f, 0x08}, 0x09};

static void cpuid(struct vcpu *v)
{
	length_find(v, &cpuid_bytes);
	exit_cpuid(v);
}

static void hlt(struct vcpu *v)
{
	length_find(v, &hlt_bytes);
	exit_hlt(v);
}

static void msr(struct vcpu *v)
{
	if (v->utcb->qual[0] == MSR_WRITE) {
		v->reason = REASON_WRMSR;
		length_find(v, &wrmsr_bytes);
		exit_wrmsr(v);
	} else {
		length_find(v, &rdmsr_bytes);
		exit_rdmsr(v);
	}
}

static void invd(struct vcpu *v)
{
	length_find(v, &invd_bytes);
	exit_nothing(v);
}

static void xsetbv(struct vcpu *v)
{
	length_find(v, &xsetbv_bytes);
	exit_xsetbv(v);
}

static void io(struct vcpu *v)
{
	struct utcb *u = v->utcb;
	uint64_t q = u->qual[0];
	const struct port_access access = {
		.port = (uint16_t)(q >> IO_PORT),
		.bytes = (uint8_t)(q >> IO_BYTES & 7),
		.in = (q & IO_IN) != 0,
		.string = (q & IO_STRING) != 0,
	};

	u->length = u->qual[1] - u->rip;
	exit_port(v, &access);
}

static void cr8_read(struct vcpu *v)
{
	exit_cr8(v, length_find_cr8(v, MOV_FROM_CR), false);
}

static void cr8_write(struct vcpu *v)
{
	exit_cr8(v, length_find_cr8(v, MOV_TO_CR), true);
}

/* An instruction that the guest's processor does not have: #UD. */
#define REFUSED                                                  \
	{                                                        \
		exit_invalid_opcode, MTD_INJECTION, REASON_OTHER \
	}

static const struct exit exits[EVENTS_VCPU] = {
	[0x08] = {cr8_read, MTD_REGISTERS | MTD_CODE | MTD_INJECTION, REASON_CR},
	[0x18] = {cr8_write, MTD_REGISTERS | MTD_CODE | MTD_INJECTION, REASON_CR},
	[0x64] = {exit_window, MTD_INJECTION, REASON_WINDOW}, /* VINTR */
	[0x6f] = REFUSED,				      /* RDPMC */
	[0x72] = {cpuid, MTD_GPR_ACDB | MTD_CODE, REASON_CPUID},
	[0x74] = {exit_iret, MTD_INJECTION, REASON_OTHER},
	[0x76] = {invd, MTD_CODE | MTD_INJECTION, REASON_OTHER},
	[0x78] = {hlt, MTD_CODE | MTD_INJECTION | MTD_TSC, REASON_HLT},
	[0x7a] = REFUSED, /* INVLPGA */
	[0x7b] = {io, MTD_GPR_ACDB | MTD_RIP_LEN | MTD_QUAL | MTD_INJECTION, REASON_PORT},
	[0x7c] = {msr, MTD_GPR_ACDB | MTD_CODE | MTD_QUAL | MTD_TSC | MTD_INJECTION, REASON_RDMSR},
	[0x7d] = {exit_task_switch, MTD_REPORT, REASON_OTHER},
	[0x7f] = {exit_shutdown, MTD_REPORT, REASON_OTHER},
	[0x80] = REFUSED, /* VMRUN */
	[0x81] = REFUSED, /* VMMCALL */
	[0x82] = REFUSED, /* VMLOAD */
	[0x83] = REFUSED, /* VMSAVE */
	[0x84] = REFUSED, /* STGI */
	[0x85] = REFUSED, /* CLGI */
	[0x86] = REFUSED, /* SKINIT */
	/* WBINVD */
	[0x89] = {invd, MTD_CODE | MTD_INJECTION, REASON_OTHER},
	[0x8a] = REFUSED, /* MONITOR */
	[0x8b] = REFUSED, /* MWAIT */
	[0x8c] = REFUSED, /* MWAIT */
	[0x8d] = {xsetbv, MTD_GPR_ACDB | MTD_CODE | MTD_INJECTION, REASON_OTHER},
	[EVENT_SVM_NPF] = {exit_memory, MTD_EMULATION | MTD_QUAL, REASON_MEMORY},
	[EVENT_SVM_INVALID] = {exit_invalid_state, MTD_REPORT, REASON_OTHER},
	[EVENT_VCPU_STARTUP] = {exit_startup, 0, REASON_OTHER},
	[EVENT_VCPU_RECALL] = {exit_recall, MTD_INJECTION | MTD_TSC, REASON_RECALL},
};

const struct vendor svm = {
	.name = "SVM",
	.exits = exits,
	.ctrl =
		{
			(uint32_t)(INTERCEPT_RDPMC | INTERCEPT_CPUID | INTERCEPT_INVD |
				   INTERCEPT_HLT | INTERCEPT_INVLPGA | INTERCEPT_IOIO |
				   INTERCEPT_MSR | INTERCEPT_TASK_SWITCH) |
				INTERCEPT_SHUTDOWN,
			(uint32_t)(INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD |
				   INTERCEPT_VMSAVE | INTERCEPT_STGI | INTERCEPT_CLGI |
				   INTERCEPT_SKINIT | INTERCEPT_WBINVD | INTERCEPT_MONITOR |
				   INTERCEPT_MWAIT | INTERCEPT_XSETBV),
		},
	.efer = EFER_SVME,
	.iret = INTERCEPT_IRET,
};
