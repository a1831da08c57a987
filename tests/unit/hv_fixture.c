/*
 * Fakes of the hardware, and the start of the kernel's core.
 */
#define _GNU_SOURCE /* MAP_FIXED_NOREPLACE */

#include "hv_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "fpu.h"
#include "kernel.h"
#include "log.h"
#include "syscall.h"
#include "tlb.h"
#include "x86/apic.h"
#include "x86/hip.h"
#include "x86/iommu.h"
#include "x86/irq.h"
#include "x86/kmem.h"
#include "x86/suspend.h"
#include "x86/tsc.h"
#include "x86/vcpu.h"

enum { POOL_MAX = 256 << 20 };

_Thread_local unsigned cpu_now;
unsigned poll_period;
bool cpus_are_threads;
void (*poll_hook)(void);
uint64_t tsc_now, ipi_sent;
jmp_buf *panic_expected;
char panic_text[256];

static struct cpu processors[MAX_CPUS];
static uint64_t cr3[MAX_CPUS];
static _Thread_local uint64_t state;

/* The machine that the kernel believes it has. */
struct cpu *cpus[MAX_CPUS];
uint32_t cpu_count;
uint32_t tsc_khz = 1000;
uint64_t fpu_xcr0 = 1;
const struct vcpu_ops *vcpu_ops;
const char resume_sysret[1], resume_iret[1], resume_work[1], resume_idle[1];

struct cpu *this_cpu(void)
{
	return cpus[cpu_now];
}

uint64_t fake_rdtsc(void)
{
	return tsc_now;
}

uint64_t fake_physical_end(void)
{
	return 1ul << 40;
}

uint64_t fake_read_cr3(void)
{
	return cr3[cpu_now];
}

void fake_write_cr3(uint64_t value)
{
	cr3[cpu_now] = value;
}

void panic_exception(const struct regs *regs, const char *format, ...)
{
	va_list arguments;

	(void)regs;
	va_start(arguments, format);
	vsnprintf(panic_text, sizeof(panic_text), format, arguments);
	va_end(arguments);
	if (panic_expected)
		longjmp(*panic_expected, 1);
	fprintf(stderr, "panic: %s\n", panic_text);
	abort();
}

unsigned logged;

void log(const char *format, ...)
{
	(void)format;
	logged++;
}

/* A CPU that is asked does at once what it would on the interrupt. */
void ipi_send(uint32_t cpu)
{
	unsigned before = cpu_now;

	__atomic_or_fetch(&ipi_sent, 1ul << cpu, __ATOMIC_SEQ_CST);
	if (cpus_are_threads)
		return;
	cpu_now = cpu;
	tlb_flush_requested(cpus[cpu]);
	cpu_now = before;
}

bool irq_poll(void)
{
	if (poll_hook)
		poll_hook();
	return poll_period && rnd(poll_period) == 0;
}

void timer_set(uint64_t deadline)
{
	assert_true(deadline == this_cpu()->timer_armed);
}

bool hip_has(int type, uint64_t phys, uint64_t size)
{
	if (type == HIP_MEM_AVAILABLE)
		return phys <= RAM_END;
	return phys < POOL_PHYS + pool_size && POOL_PHYS < phys + size;
}

bool tss_set_io(struct cpu *cpu, const uint8_t *bitmap)
{
	(void)cpu, (void)bitmap;
	return true;
}

/* The kernel's half of an address space must never be freed as tables. */
void kmem_share(uint64_t *root)
{
	root[510] = root[511] = 1;
}

enum status vcpu_create(struct ec *ec)
{
	ec->vcpu = page_alloc(ec->object.owner, 0, true);
	return ec->vcpu ? SUCCESS : OUT_OF_MEMORY;
}

void vcpu_destroy(struct ec *ec)
{
	page_free(ec->object.owner, ec->vcpu, 0);
}

void *fpu_alloc(struct pd *payer)
{
	return page_alloc(payer, 0, true);
}

struct ec *vcpu_part(struct ec *ec, struct ec *next)
{
	(void)ec;
	return next;
}

void fpu_drop(struct ec *ec)
{
	if (this_cpu()->fpu_owner == ec)
		this_cpu()->fpu_owner = NULL;
}

enum status msr_access(struct ec *self, void *authority)
{
	(void)self, (void)authority;
	return SUCCESS;
}

void fpu_save(struct ec *ec, struct utcb *utcb)
{
	(void)ec, (void)utcb;
}

void fpu_load(struct ec *ec, const struct utcb *utcb)
{
	(void)ec, (void)utcb;
}

[[gnu::weak]] void gsi_mask(unsigned gsi, bool masked, bool level)
{
	(void)gsi, (void)masked, (void)level;
}

[[gnu::weak]] enum status gsi_assign(unsigned gsi, uint32_t device, uint32_t cpu, unsigned flags,
				     uint64_t *address, uint64_t *data)
{
	(void)gsi, (void)device, (void)cpu, (void)flags;
	*address = *data = 0;
	return SUCCESS;
}

/* There is no IOMMU, but for who tests it. */
[[gnu::weak]] struct iommu iommu;

[[gnu::weak]] enum status iommu_assign(struct pd *pd, uint64_t frame)
{
	(void)pd, (void)frame;
	return BAD_DEVICE;
}

[[gnu::weak]] bool iommu_device(uint64_t frame, uint32_t *rid)
{
	(void)frame, (void)rid;
	return false;
}

[[gnu::weak]] void iommu_release(struct pd *pd)
{
	(void)pd;
}

[[gnu::weak]] void iommu_flush(const struct pd *pd)
{
	(void)pd;
}

/* Marsaglia's xorshift64*. */
uint64_t rnd(uint64_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 0x2545f4914f6cdd1dul >> 11) % n;
}

void fixture_seed(void)
{
	const char *given = getenv("SEED");

	state = given ? strtoul(given, NULL, 0) : (uint64_t)time(NULL);
	printf("seed %lu\n", state);
	fflush(stdout);
	fixture_reseed(state);
}

void fixture_reseed(uint64_t seed)
{
	state = seed * 2 + 1;
}

static void start_cpu(struct cpu *cpu, uint32_t id)
{
	memset(cpu, 0, sizeof(*cpu));
	cpu->self = cpu;
	cpu->id = id;
	for (unsigned i = 0; i < PRIORITIES; i++)
		list_init(&cpu->ready[i]);
	cpu->timer_armed = ~0ul;
	cpus[id] = cpu;
}

static void start_idle(struct cpu *cpu)
{
	cpu->idle = ec_alloc(&pd_kernel, cpu->id);
	cpu->idle->resume = resume_idle;
	cpu->idle_sc = sc_create(&pd_kernel, cpu->idle, 0, 0);
	assert_non_null(cpu->idle_sc);
	cpu->current = cpu->idle;
	cpu->pd = &pd_kernel;
}

struct mapping *find_next(const struct tree *s, uint64_t first, uint64_t last)
{
	struct mapping *m;
	uint64_t at = first, from;

	last -= last == ~0ul;
	do {
		from = at;
		m = space_next(s, &at, last);
		assert_true(m || at > from);
	} while (!m && at <= last);
	assert_int_equal(at, !m ? last + 1 : m->base > first ? m->base : first);
	return m;
}

void clear_pd(struct pd *pd)
{
	struct dying dying = {NULL, NULL};

	this_cpu()->dying = &dying;
	while (!mapping_clear(pd) || !object_reap()) {
	}
}

void fixture_init(unsigned pages, unsigned cpu_number)
{
	static void *pool;

	if (!pool) {
		pool = mmap((void *)POOL_BASE, POOL_MAX, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
			    0);
		assert_ptr_equal(pool, POOL_BASE);
	}
	assert_true((uint64_t)pages * PAGE_SIZE <= POOL_MAX);
	cpu_now = 0;
	tsc_now = 1;
	ipi_sent = 0;
	poll_period = 0;
	poll_hook = NULL;
	slab_hook = NULL;
	unlock_hook = NULL;
	cpus_are_threads = false;
	memset(slab_live, 0, sizeof(slab_live));
	for (unsigned i = 0; i < cpu_number; i++)
		start_cpu(&processors[i], i);
	cpu_count = cpu_number;
	page_init(POOL_PHYS, (uint64_t)pages * PAGE_SIZE);
	pd_init_kernel();
	for (unsigned i = 0; i < cpu_number; i++)
		start_idle(&processors[i]);
}

static bool deferred(void)
{
	for (unsigned i = 0; i < cpu_count; i++)
		if (rcu_busy(cpus[i]))
			return true;
	return false;
}

void run_grace_periods(void)
{
	unsigned before = cpu_now;

	while (deferred())
		for (cpu_now = 0; cpu_now < cpu_count; cpu_now++)
			rcu_run(this_cpu());
	cpu_now = before;
}

/* Nothing here sleeps. */
struct sm *sm_suspend;

enum status suspend(uint64_t type_a, uint64_t type_b)
{
	(void)type_a, (void)type_b;
	return BAD_FEATURE;
}
