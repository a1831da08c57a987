/*
 * Virtual machines for tests of vCPUs.
 *
 * A VM is a PD with guest memory, 256 portals at its event base 0, a handler in
 * root's PD, and one vCPU of higher priority than the main thread: it runs in
 * create_sc or sm_up until its handler lets it sleep. What a test does at an
 * exit is a function; the handler sets up the state of reset at the first
 * event.
 */
#pragma once

#include "reset.h"
#include "test.h"

enum {
	PRIORITY = 5,
	GUEST_CODE = 0x1000,
	GUEST_DATA = 0x2000,
	GUEST_STACK = 0x2ff0,
	GUEST_NONE = 0x8000,
	VECTOR = 0x40,
	MAX_EXITS = 64,

	MSR_APIC_BASE = 0x1b,
	PORT = 0x300,

	CR0_ET = 1 << 4,
	CR0_NE = 1 << 5,
	EFER_SVME = 1 << 12,

	MTD_ALL = MTD_GPR | MTD_RSP | MTD_RIP_LEN | MTD_RFLAGS | MTD_SEGMENTS | MTD_TABLES |
		  MTD_CR | MTD_DR | MTD_SYSENTER | MTD_QUAL | MTD_INJ | MTD_STA | MTD_TSC |
		  MTD_EFER | MTD_SYSCALL | MTD_TSC_AUX,
};

extern char guest_page[], guest_cpuid[], guest_hlt[], guest_vmcall[], guest_vmmcall[], guest_in[],
	guest_out_imm[], guest_rdmsr[], guest_wrmsr[], guest_read[], guest_write[], guest_compute[],
	guest_spin[], guest_spin_end[], guest_read_loop[], guest_sti[], guest_sti_shadow[],
	guest_sti_open[], guest_handler[], guest_rdtsc[], guest_ports[], guest_ports_exit[],
	guest_triple[], guest_fpu[];

/* Events: VMX's and SVM's numbers. */
struct event {
	uint8_t vmx, svm;
};

extern const struct event HLT, IO, MEMORY, WINDOW, INVALID, TRIPLE;

typedef void exit_function(struct utcb *u, unsigned event);

struct vm {
	struct frame *h;
	unsigned long pd, ec, sc, wake, mtd;
	unsigned cpu;
	const char *entry;
	exit_function *exit;	 /* not for startup */
	exit_function *reset;	 /* after the state of reset is set; or NULL */
	volatile bool sleep;	 /* the handler lets it sleep: vm.wake */
	volatile unsigned count; /* exits */
	volatile unsigned last;	 /* event */
	unsigned event[MAX_EXITS];
	uint64_t rip[MAX_EXITS];
};

extern struct vm vm;

bool is_svm(void);
bool in_hypervisor(void);
/* Event number on this vendor. */
unsigned number(struct event e);
uint64_t guest_ip(const char *code);

/* As after reset, but at the code's address and with a stack. */
void set_reset_state(struct utcb *u);

/* The PD, its memory, its portals, its vCPU without an SC. */
void make_vm(unsigned cpu, unsigned long mtd);
void run(const char *entry, exit_function *at_exit, exit_function *reset);
/* Started in round robin with the main thread. */
void run_on(const char *entry, exit_function *at_exit);
/* Portals to a handler of a CPU for all exits, as the VM has them. */
unsigned long make_exits(unsigned cpu);
/* It goes on after its sleep; on another CPU, wait. */
void wake_vm(void);

/* In the guest's page of data. */
volatile uint32_t *data(unsigned offset);
/* Entry of a real-mode interrupt. */
void set_vector(unsigned vector, const char *code);

/* For exits that need no more. */
void nothing(struct utcb *u, unsigned event);
/*
 * For a guest that runs until it is interrupted, which happens whatever its
 * interrupt flag. Bochs' SVM, unlike others, does not see to that.
 */
void interruptible(struct utcb *u, unsigned event);
/* Its SVM does not know of the intercept of shutdown. */
void stops_bochs(void);
