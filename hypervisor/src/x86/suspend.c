/*
 * Sleep (ACPI 6.4, 16.3). Memory is kept and processors and chipset are reset,
 * so each CPU first brings to memory what only it knows: the FPU's state, what
 * is cached of vCPUs, dirty lines. Then the last one writes the sleep types to
 * the PM1 control registers. The firmware wakes the boot CPU where the FACS
 * says: at the trampoline, by which it comes to suspend_wake() as others come to
 * cpu_main() at boot. In the end every CPU returns from cpu_sleep(), on the stack
 * on which it called it: to the others it is an interrupt that took long.
 *
 * What devices need is their drivers' business.
 */
#include "suspend.h"

#include "../fpu.h"
#include "../log.h"
#include "../pd.h"
#include "../time.h"
#include "../tlb.h"
#include "acpi.h"
#include "apic.h"
#include "boot.h"
#include "insn.h"
#include "iommu.h"
#include "irq.h"
#include "kmem.h"
#include "vcpu.h"

/* PM1 registers, ACPI 6.4, 4.8.3; the firmware's control structure, 5.2.10 */
enum { PM1_BLOCKS = 2, PM1_WAKE_STATUS = 1 << 15 };
enum { PM1_TYPE_SHIFT = 10, PM1_TYPE_MAX = 7, PM1_TYPES = 7 << 10, PM1_ENABLE = 1 << 13 };
enum { FACS_WAKING_VECTOR = 12, FACS_X_WAKING_VECTOR = 24, FACS_SIZE = 64 }; /* X: if not 0 */
enum { STAY_US = 1000000 }; /* awake this long: it does not sleep */

static struct {
	char *facs;			     /* NULL: no sleep on this machine */
	uint16_t event, control[PM1_BLOCKS]; /* ports or 0 */
	uint64_t type[PM1_BLOCKS];	     /* for `control` */
	uint64_t tsc;			     /* when it went to sleep */
	bool failed;
} machine_sleep;

/*
 * Atomic: who does it (number + 1, or 0) in bits 7..0, how often it was done
 * above; how many have stopped, this time.
 */
static uint32_t round, stopped;
enum { ROUND_SLEEPER = 0xff, ROUND_NEXT = 0x100 };

static_assert(MAX_CPUS < (int)ROUND_SLEEPER);

/* start.S; the former calls the latter. */
void cpu_sleep(struct cpu *cpu);
void sleep_here(struct cpu *cpu);

void suspend_init(void)
{
	uint32_t phys = acpi_fadt(FADT_FACS);
	const char *facs;

	phys = phys ? phys : acpi_fadt(FADT_X_FACS);
	facs = boot_memory(phys, FACS_SIZE);
	machine_sleep.event = (uint16_t)acpi_fadt(FADT_PM1_EVENT);
	for (unsigned i = 0; i < PM1_BLOCKS; i++)
		machine_sleep.control[i] = (uint16_t)acpi_fadt(FADT_PM1_CONTROL + 4 * i);
	if (!smp_trampoline() || !facs || __builtin_memcmp(facs, "FACS", 4) ||
	    acpi_fadt(FADT_FLAGS) & FADT_HARDWARE_REDUCED || !machine_sleep.event ||
	    !machine_sleep.control[0] || (phys & PAGE_MASK) > PAGE_SIZE - FACS_SIZE) {
		log("suspend: not on this machine\n");
		return;
	}
	machine_sleep.facs = kmem_map(phys, MEMORY_CACHED);
}

static void write_control(unsigned bits)
{
	for (unsigned i = 0; i < PM1_BLOCKS; i++) {
		uint16_t port = machine_sleep.control[i];
		uint64_t type = (machine_sleep.type[i] & PM1_TYPE_MAX) << PM1_TYPE_SHIFT | bits;

		if (port)
			out16(port, (uint16_t)((in16(port) & ~(uint32_t)PM1_TYPES) | type));
	}
}

static bool awake(void)
{
	return in16(machine_sleep.event) & PM1_WAKE_STATUS;
}

/* The whole machine; returns if it does not sleep, or not so deep. */
static void sleep_machine(void)
{
	out16(machine_sleep.event, PM1_WAKE_STATUS);
	machine_sleep.failed = awake(); /* no such port */
	if (!machine_sleep.failed) {
		write_control(0);
		wbinvd();
		write_control(PM1_ENABLE);
	}
	for (uint64_t end = rdtsc() + tsc_of_us(STAY_US); !awake() && rdtsc() < end;)
		__builtin_ia32_pause();
	machine_sleep.failed |= !awake();
}

/* Who has stopped is counted from 0, also if he joins before he is asked to. */
static void end_round(void)
{
	stopped = 0;
	__atomic_store_n(&round, (round & ~(uint32_t)ROUND_SLEEPER) + ROUND_NEXT, __ATOMIC_SEQ_CST);
}

void sleep_here(struct cpu *cpu)
{
	uint32_t now = __atomic_load_n(&round, __ATOMIC_SEQ_CST);
	bool mine = (now & ROUND_SLEEPER) == cpu->id + 1;

	wbinvd();
	__atomic_add_fetch(&stopped, 1, __ATOMIC_SEQ_CST);
	while (mine ? __atomic_load_n(&stopped, __ATOMIC_SEQ_CST) < cpu_count
		    : __atomic_load_n(&round, __ATOMIC_SEQ_CST) == now) {
		tlb_flush_requested(cpu);
		__builtin_ia32_pause();
	}
	if (mine) {
		sleep_machine();
		end_round();
	}
}

static void stop(struct cpu *cpu)
{
	fpu_leave(cpu, cpu->idle);
	vcpu_leave_all(cpu);
	cpu_sleep(cpu);
	write_cr3(cpu->pd->cr3);
	/* The timer has forgotten; with the interrupt it is set again. */
	timer_set(1);
}

void suspend_join(struct cpu *cpu)
{
	if (__atomic_load_n(&round, __ATOMIC_SEQ_CST) & ROUND_SLEEPER)
		stop(cpu);
}

enum status suspend(uint64_t type_a, uint64_t type_b)
{
	struct cpu *cpu = this_cpu();
	uint32_t nobody = round & ~(uint32_t)ROUND_SLEEPER, vector;

	if (!machine_sleep.facs)
		return BAD_FEATURE;
	if (!atomic_replace(&round, nobody, nobody + cpu->id + 1))
		return TIMEOUT;
	machine_sleep.type[0] = type_a;
	machine_sleep.type[1] = type_b;
	vector = (uint32_t)smp_trampoline();
	__builtin_memcpy(machine_sleep.facs + FACS_WAKING_VECTOR, &vector, 4);
	__builtin_memset(machine_sleep.facs + FACS_X_WAKING_VECTOR, 0, 8);
	machine_sleep.tsc = rdtsc();
	for (uint32_t i = 0; i < cpu_count; i++)
		if (i != cpu->id)
			ipi_send(i);
	stop(cpu);
	return machine_sleep.failed ? BAD_DEVICE : SUCCESS;
}

void suspend_wake(void)
{
	log_init();
	tsc_resume(machine_sleep.tsc);
	setup_cpu(&boot_cpu);
	iommu_start(true);
	irq_reset();
	smp_restart();
	log("suspend: awake\n");
	/* The round is over before others run, lest they stop for it again. */
	end_round();
	smp_release();
}
