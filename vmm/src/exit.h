/*
 * VM exits: what a vendor's table has for each event, and the handlers that the
 * vendors share. The tables are in vmx.c and svm.c; they are used both to
 * create the portals and to dispatch.
 *
 * A handler finds in the vCPU's UTCB the state that its MTD names (v->have),
 * asks for more if it needs more (vcpu_need), changes it, and or-s to v->mtd what
 * the kernel shall take back. Handlers of instructions find their length in
 * u->length.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <abi/event.h>
#include <abi/utcb.h>

struct vcpu;

/* What exits are counted by; the names are in report.c. */
enum reason {
	REASON_OTHER,
	REASON_PORT,
	REASON_MEMORY, /* device memory */
	REASON_CPUID,
	REASON_HLT,
	REASON_RDMSR,
	REASON_WRMSR,
	REASON_CR, /* CR8 as well */
	REASON_WINDOW,
	REASON_RECALL,
	REASONS,
};

struct exit {
	void (*handler)(struct vcpu *v); /* NULL: unexpected */
	uint64_t mtd;
	uint8_t reason; /* enum reason; a handler may know better */
};

struct vendor {
	const char *name;
	const struct exit *exits; /* EVENTS_VCPU of them */
	uint32_t ctrl[2];	  /* what the guest may not do itself */
	uint64_t efer;		  /* bits that EFER must have */
	uint32_t nmi_window;	  /* its request, where there is one */
	/* Else the intercept of IRET, in ctrl[0], that ends an NMI. */
	uint32_t iret;
};

extern const struct vendor vmx, svm;

/* State for deciding what can be injected. */
#define MTD_INJECTION (MTD_RFLAGS | MTD_INJ | MTD_STA)

/* State for finding the bytes at RIP. */
#define MTD_CODE (MTD_RIP_LEN | MTD_RFLAGS | MTD_CS_SS | MTD_CR | MTD_EFER)

#define MTD_REGISTERS (MTD_GPR_ACDB | MTD_GPR_BSD | MTD_RSP | MTD_GPR_R8_R15)

/*
 * State that the emulator always uses. All of it costs nothing where KVM runs the
 * hypervisor on VMX: of segments the access rights of CS and SS, which tell the mode
 * and the privilege level. What else it wants it asks for: vcpu_need().
 */
#define MTD_EMULATION \
	(MTD_RIP_LEN | MTD_REGISTERS | MTD_RFLAGS | MTD_RIGHTS | MTD_CR | MTD_INJECTION)

/* And for running ahead. */
#define MTD_AHEAD (MTD_EMULATION | MTD_EFER | MTD_FS_GS | MTD_DR | MTD_TSC)

/* State for a report of the end. */
#define MTD_REPORT                                                                              \
	(MTD_CODE | MTD_REGISTERS | MTD_INJECTION | MTD_DS_ES | MTD_FS_GS | MTD_QUAL | MTD_DR | \
	 MTD_TR | MTD_LDTR | MTD_GDTR | MTD_IDTR | MTD_SYSENTER)

/* An access to ports, as both vendors describe it in their own ways. */
struct port_access {
	uint16_t port;
	uint8_t bytes;
	bool in;
	bool string;
};

void exit_startup(struct vcpu *v);
void exit_recall(struct vcpu *v);
void exit_window(struct vcpu *v);
void exit_iret(struct vcpu *v);
void exit_cpuid(struct vcpu *v);
void exit_hlt(struct vcpu *v);
void exit_rdmsr(struct vcpu *v);
void exit_wrmsr(struct vcpu *v);
void exit_xsetbv(struct vcpu *v);
void exit_port(struct vcpu *v, const struct port_access *access);
void exit_cr8(struct vcpu *v, unsigned reg, bool write);
void exit_mov_to_cr(struct vcpu *v, unsigned cr, unsigned reg);
void exit_memory(struct vcpu *v); /* qual[1]: guest-physical address */
void exit_invalid_opcode(struct vcpu *v);
void exit_nothing(struct vcpu *v); /* an instruction without effect */
void exit_shutdown(struct vcpu *v);
void exit_invalid_state(struct vcpu *v);
void exit_task_switch(struct vcpu *v);
