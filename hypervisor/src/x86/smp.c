/*
 * Starting the other processors: each in its turn gets what it needs, is reset
 * and sent to the trampoline (SDM 3A 8.4.4). The time for each is bounded; one
 * that does not come is reset again and left out. After sleep (suspend.c) the
 * same is done with those that there are.
 *
 * The trampoline's page is the kernel's for ever: whoever could write there, or let
 * a device do so, while the machine goes to sleep would be the one to wake up.
 */
#include "boot.h"

#include "../kernel.h"
#include "../log.h"
#include "apic.h"
#include "hip.h"
#include "kmem.h"
#include "irq.h"
#include "suspend.h"
#include "tsc.h"

/* Between INIT and STARTUP, and the two STARTUPs; for one CPU; between looks. */
enum { INIT_US = 10000, STARTUP_US = 200, ONLINE_US = 2000000, POLL_US = 20, TRIES = 8 };
enum { LOW_END = 0x9f000 }; /* of memory that real mode can run in */

struct cpu *cpus[MAX_CPUS] = {&boot_cpu};
uint32_t cpu_count = 1;

/* start.S: the CPU that starts now. */
struct cpu *starting_cpu = &boot_cpu;
static_assert(sizeof(struct cpu) <= PAGE_SIZE);

static uint32_t online;	  /* atomic: number of the last to come */
static bool released;	  /* atomic */
static uint32_t left = 1; /* atomic: how many have seen that, with the boot CPU */

static uint64_t low_phys; /* the trampoline's page; 0: there is none */

extern const char trampoline_start[], trampoline_end[];

void cpu_main(struct cpu *cpu, uint32_t info, uint32_t magic);

/* start.S. Returns to where the CPU went to sleep, if it did. */
void cpu_main(struct cpu *cpu, uint32_t info, uint32_t magic)
{
	bool woken = cpu->idle;

	if (!boot_cpu.idle)
		boot_main(magic, info);
	kmem_load();
	if (cpu == &boot_cpu) {
		suspend_wake();
		return;
	}
	setup_cpu(cpu);
	__atomic_store_n(&online, cpu->id, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
	__atomic_add_fetch(&left, 1, __ATOMIC_RELAXED);
	if (!woken)
		kernel_start(cpu);
}

void smp_find_page(void)
{
	for (low_phys = LOW_END; low_phys && !hip_is_free(low_phys, PAGE_SIZE);
	     low_phys -= PAGE_SIZE) {
	}
	if (low_phys)
		hip_add(low_phys, PAGE_SIZE, HIP_MEM_KERNEL);
}

uint64_t smp_trampoline(void)
{
	__atomic_store_n(&released, false, __ATOMIC_RELAXED);
	__atomic_store_n(&left, 1, __ATOMIC_RELAXED);
	starting_cpu = &boot_cpu;
	return low_phys;
}

void smp_release(void)
{
	__atomic_store_n(&released, true, __ATOMIC_RELEASE);
	/* A slow one must not miss it, should the next sleep begin at once. */
	while (__atomic_load_n(&left, __ATOMIC_RELAXED) < cpu_count)
		__builtin_ia32_pause();
}

/* SDM 3A 8.4.4.1: INIT, and STARTUP twice, if it needs that. */
static bool start(struct cpu *cpu)
{
	apic_send(cpu->apic_id, APIC_INIT);
	tsc_delay(INIT_US);
	/* One that came too late has been reset: it is not this one. */
	__atomic_store_n(&online, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&starting_cpu, cpu, __ATOMIC_RELEASE);
	for (uint64_t us = 0; us < ONLINE_US; us += POLL_US) {
		if (us == 0 || us == STARTUP_US)
			apic_send(cpu->apic_id, APIC_STARTUP | (uint32_t)(low_phys >> PAGE_BITS));
		tsc_delay(POLL_US);
		if (__atomic_load_n(&online, __ATOMIC_ACQUIRE) == cpu->id)
			return true;
	}
	apic_send(cpu->apic_id, APIC_INIT);
	return false;
}

/* One that fails leaves its number and what it was given to the next. */
static void start_listed(uint32_t apic_id)
{
	static struct cpu *cpu;

	if (!cpu) {
		cpu = page_alloc(NULL, 0, true);
		if (!cpu)
			panic("no memory for CPU %u", cpu_count);
		cpu->self = cpu;
		cpu->id = cpu_count;
		setup_window(cpu);
	}
	cpu->apic_id = apic_id;
	cpus[cpu_count] = cpu;
	if (start(cpu)) {
		cpu_count++;
		cpu = NULL;
		return;
	}
	cpus[cpu_count] = NULL;
	log("smp: CPU with APIC ID %u does not start\n", apic_id);
}

void smp_init(void)
{
	if (low_phys)
		__builtin_memcpy(boot_memory(low_phys, PAGE_SIZE), trampoline_start,
				 (uint64_t)(trampoline_end - trampoline_start));
	else
		log("smp: no free page below 640 KiB to start others in\n");
	for (uint32_t i = 0; low_phys && i < machine.cpus && cpu_count < MAX_CPUS; i++)
		if (machine.cpu[i].apic_id > apic_id_max)
			log("smp: APIC ID %u needs an x2APIC\n", machine.cpu[i].apic_id);
		else if (machine.cpu[i].apic_id != boot_cpu.apic_id)
			start_listed(machine.cpu[i].apic_id);
	log("smp: %u CPUs\n", cpu_count);
}

/* Firmware has just done something with them: the first INIT may be lost. */
void smp_restart(void)
{
	for (uint32_t i = 1; i < cpu_count; i++) {
		unsigned tries = TRIES;

		while (!start(cpus[i]))
			if (--tries == 0)
				panic("CPU %u does not come back", i);
	}
}
