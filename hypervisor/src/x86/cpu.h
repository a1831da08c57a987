/*
 * One processor: what it runs now, its queues, its descriptor tables. GS base
 * points here while in the kernel. Fields are this CPU's alone unless a lock
 * or "atomic" is named.
 */
#pragma once

#include "../types.h"

enum { MAX_CPUS = 64, PRIORITIES = 128, STACK_SIZE = 8192 };

/* SDM 3A 8.7; the I/O permission bitmap follows a page later. */
struct tss {
	uint32_t reserved0;
	uint64_t rsp0, rsp1, rsp2, reserved1, ist[7], reserved2;
	uint16_t reserved3, io_base;
} __attribute__((packed));

static_assert(sizeof(struct tss) == 104);

struct cpu {
	struct cpu *self;	  /* at %gs:0 */
	uint64_t stack;		  /* top of the kernel's stack here */
	uint64_t start_sp;	  /* start.S: where it begins, or goes on */
	struct ec *current;	  /* whose registers TSS.RSP0 points at */
	struct pd *pd;		  /* whose page tables are loaded */
	const struct pd *starved; /* whose quota did not suffice last */
	uint8_t fpu_live;	  /* CR0.TS is clear: user code uses the FPU */
	uint8_t tss_short;	  /* a VM exit made TR's limit end before it */
	uint8_t resched;	  /* a better SC may be ready, or work waits */
	uint8_t has_vcpu;	  /* VMX or SVM is on here */
	uint32_t id;		  /* index in cpus[], number in the HIP */
	uint32_t apic_id;
	const uint8_t *io_bitmap; /* in the TSS window; kept while unused */
	struct ec *fpu_owner;	  /* whose FPU state is in the registers */
	uint64_t xss;		  /* as loaded */

	/* sc.c */
	struct sc *sc;	 /* the one that pays now; NULL when idle */
	struct sc *next; /* before all that is queued; in no queue; or NULL */
	struct ec *idle;
	struct sc *idle_sc; /* only counts the time */
	uint64_t ready_mask[PRIORITIES / 64];
	struct list ready[PRIORITIES];
	uint64_t idle_since;
	uint64_t cross_time;	 /* of proxies' SCs, TSC ticks as below */
	uint64_t killed_time;	 /* atomic: of SCs that are gone */
	uint64_t killed_ec_time; /* atomic: of ECs that are gone */

	/* timeout.c */
	struct timeout *timeouts; /* heap by deadline */
	uint64_t timer_armed;	  /* TSC of the next interrupt; ~0: none */

	struct dying *dying; /* object.c: of the revocation that goes on */

	/* rcu.c */
	struct deferred *deferred, *waiting, *over;
	uint32_t deferred_count;
	uint64_t waiting_epoch;
	uint64_t quiescent; /* atomic: epoch last passed; ~0: idle */

	/* atomic: ECs that others want something of (ec.h, pending) */
	struct ec *inbox;
	struct ec *asked;     /* taken out of it */
	uint64_t asked_epoch; /* not later than that was */
	uint8_t flush_asked;  /* this CPU asked some to flush */
	struct pd *dma_stale; /* its devices may reach what is gone; or NULL */
	uint32_t flush;	      /* atomic: a TLB flush was asked for */

	/* vCPU seam: host state of VMX or SVM on this CPU */
	void *vcpu_host; /* VMXON region or host save area */
	uint64_t vcpu_host_phys;
	struct list vcpus;	 /* whose VMCS it may cache */
	struct ec *vcpu_loaded;	 /* last vCPU; on VMX its VMCS is current */
	struct ec *vcpu_running; /* atomic: NULL: none since boot or the last */
	struct ec *debug_owner;	 /* the vCPU that DR0 to DR3 and DR6 belong to */
	uint32_t tsc_aux;	 /* the register, on SVM; threads have */
	uint32_t tsc_aux_host;	 /* the CPU's number, 0 without the register */
	uint32_t asid_next;	 /* SVM ASIDs, VMX VPIDs: next to be given */
	uint64_t asid_generation;

	uint64_t gdt[8] aligned_to(16);
	struct tss *tss; /* at the start of the CPU's TSS window */
};

/* Selectors; SYSRET wants user data at the base, 32-bit code, + 8, user code at + 16. */
enum { SEL_KERNEL_CODE = 0x08, SEL_KERNEL_DATA = 0x10, SEL_USER_BASE = 0x18, SEL_TSS = 0x30 };
enum { SEL_USER_DATA = 0x20 | 3, SEL_USER_CODE = 0x28 | 3 };

/*
 * A thread's registers, in the order in which entry.S pushes them below what the
 * processor pushed. TSS.RSP0 points at the end of this in the current EC, so that
 * an entry saves into the EC directly.
 */
enum { RFLAGS_USER = 0x202 }; /* IF, and the bit that is always 1 */

struct regs {
	uint64_t r15, r14, r13, r12, rbp, rbx; /* kept by C functions */
	uint64_t r11, r10, r9, r8;
	uint64_t rax, rcx, rdx, rsi, rdi;
	uint64_t vector;
	uint64_t error;
	uint64_t rip, cs, rflags, rsp, ss; /* pushed by the processor */
};

static_assert(sizeof(struct regs) == 22 * 8);

enum { VECTOR_DB = 1, VECTOR_NMI = 2, VECTOR_BP = 3, VECTOR_OF = 4, VECTOR_NM = 7, VECTOR_DF = 8 };
enum { VECTOR_GP = 13, VECTOR_PF = 14, VECTOR_AC = 17, VECTOR_MC = 18 };

/* Offset of the I/O permission bitmap in the TSS: in place, or beyond it. */
enum { TSS_BITMAP = 0x1000, TSS_NO_BITMAP = 0xffff };

/* It has something to free, now or later: rcu.h. */
static inline bool rcu_busy(const struct cpu *cpu)
{
	return (uint64_t)__atomic_load_n(&cpu->deferred, __ATOMIC_RELAXED) |
	       (uint64_t)__atomic_load_n(&cpu->waiting, __ATOMIC_RELAXED) |
	       (uint64_t)__atomic_load_n(&cpu->over, __ATOMIC_RELAXED);
}

extern struct cpu *cpus[MAX_CPUS]; /* constant once booted */
extern uint32_t cpu_count;

#ifndef HOST_TEST
static inline struct cpu *this_cpu(void)
{
	struct cpu *cpu;

	/* Not volatile: a CPU does not change under a function. */
	__asm__("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}
#else
struct cpu *this_cpu(void);
#endif

/* desc.c. Once: the table of interrupt entries, good for the boot CPU so far. */
void idt_init(void);
/* Per CPU, on it. Its window (kmem.h) has its stacks mapped. */
void desc_init(struct cpu *cpu);

/*
 * The I/O permission bitmap of the PD that runs here, two pages; NULL: no port is
 * allowed. The window keeps the last one. False: it was so already. After a VM
 * exit on VMX (SDM 3C 28.5.2) it is not: the TSS ends before the bitmap, which
 * cpu->tss_short says, and is loaded again to its full length.
 */
bool tss_set_io(struct cpu *cpu, const uint8_t *bitmap);
