/*
 * Starting the other processors: all are reset at once, then each in its turn
 * gets what it needs and is sent to the trampoline (SDM 3A 8.4.4). The time for
 * each is bounded; one that does not come is reset again and left out.
 *
 * The trampoline's page is borrowed from available memory, and given back as it
 * was.
 */
#include "smp.h"

#include <abi/hip.h>

#include "../kernel.h"
#include "../log.h"
#include "../page.h"
#include "apic.h"
#include "boot.h"
#include "cpu.h"
#include "kmem.h"
#include "madt.h"
#include "setup.h"
#include "tsc.h"

enum {
	INIT_US = 10000,	/* between INIT and STARTUP */
	STARTUP_US = 200,	/* between the two STARTUPs */
	ONLINE_US = 200000,	/* for one CPU */
	POLL_US = 20,

	LOW_END = 0x9f000,	/* of memory that real mode can run in */
};

struct cpu *cpus[MAX_CPUS] = {&boot_cpu};
uint32_t cpu_count = 1;

/* start.S: the CPU that starts now. Its stack is at offset 8. */
struct cpu *ap_cpu;
static_assert(offsetof(struct cpu, stack) == 8);
static_assert(sizeof(struct cpu) <= PAGE_SIZE);

static uint8_t ap_acpi_id;
static uint32_t online;		/* atomic: number of the last to come */
static bool released;		/* atomic */

extern const char trampoline_start[], trampoline_end[];
extern const char trampoline_gdt[], trampoline_target[];

_Noreturn void ap_main(struct cpu *cpu);

void ap_main(struct cpu *cpu)
{
	kmem_load();
	setup_cpu(cpu, ap_acpi_id);
	__atomic_store_n(&online, cpu->id, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&released, __ATOMIC_ACQUIRE)) {
		__builtin_ia32_pause();
	}
	kernel_start(cpu);
}

static bool page_is_free(uint64_t phys)
{
	bool available = false;

	for (uint32_t i = 0; i < boot_info.ranges; i++) {
		const struct boot_range *r = &boot_info.range[i];

		if (phys < r->address + r->size &&
		    r->address < phys + PAGE_SIZE) {
			available = r->type == HIP_MEM_AVAILABLE &&
				    r->address <= phys &&
				    phys + PAGE_SIZE <= r->address + r->size;
			if (!available) {
				return false;
			}
		}
	}
	return available;
}

/* The highest free page below 640 KiB, or 0. */
static uint64_t trampoline_page(void)
{
	for (uint64_t phys = LOW_END - PAGE_SIZE; phys; phys -= PAGE_SIZE) {
		if (page_is_free(phys)) {
			return phys;
		}
	}
	return 0;
}

static void add_to(char *page, const char *field, uint64_t phys)
{
	uint32_t *at = (uint32_t *)(page + (field - trampoline_start));

	*at += (uint32_t)phys;
}

static void put_trampoline(char *page, uint64_t phys)
{
	__builtin_memcpy(page, trampoline_start,
			 (uint64_t)(trampoline_end - trampoline_start));
	add_to(page, trampoline_gdt, phys);
	add_to(page, trampoline_target, phys);
}

static struct cpu *new_cpu(uint32_t id)
{
	struct cpu *cpu = page_alloc(NULL, 0, true);

	if (!cpu) {
		return NULL;
	}
	cpu->self = cpu;
	cpu->id = id;
	return setup_window(cpu) ? cpu : NULL;
}

static bool wait_online(uint32_t id, uint64_t microseconds)
{
	for (uint64_t us = 0; us < microseconds; us += POLL_US) {
		if (__atomic_load_n(&online, __ATOMIC_ACQUIRE) == id) {
			return true;
		}
		tsc_delay(POLL_US);
	}
	return false;
}

/* A CPU that failed keeps its number's place for the next. */
static void start(struct cpu *cpu, const struct madt_cpu *m, uint64_t page)
{
	ap_acpi_id = m->acpi_id;
	__atomic_store_n(&ap_cpu, cpu, __ATOMIC_RELEASE);
	cpus[cpu->id] = cpu;

	apic_send_startup(m->apic_id, page);
	if (!wait_online(cpu->id, STARTUP_US)) {
		apic_send_startup(m->apic_id, page);
		if (!wait_online(cpu->id, ONLINE_US)) {
			apic_send_init(m->apic_id);
			cpus[cpu->id] = NULL;
			log("smp: CPU with APIC ID %u does not start\n",
			    m->apic_id);
			return;
		}
	}
	cpu_count++;
}

static void start_all(uint64_t page)
{
	struct cpu *cpu = NULL;

	for (uint32_t i = 0; i < machine.cpus; i++) {
		if (machine.cpu[i].apic_id != boot_cpu.apic_id) {
			apic_send_init(machine.cpu[i].apic_id);
		}
	}
	tsc_delay(INIT_US);
	for (uint32_t i = 0; i < machine.cpus; i++) {
		if (machine.cpu[i].apic_id == boot_cpu.apic_id ||
		    cpu_count == MAX_CPUS) {
			continue;
		}
		if (!cpu || cpu->id != cpu_count) {
			cpu = new_cpu(cpu_count);
		}
		if (!cpu) {
			log("smp: no memory for more CPUs\n");
			return;
		}
		start(cpu, &machine.cpu[i], page);
	}
}

void smp_init(void)
{
	uint64_t phys = trampoline_page();
	char *page = boot_memory(phys, PAGE_SIZE);
	void *saved = page_alloc(NULL, 0, false);

	if (machine.cpus > 1 && page && saved) {
		__builtin_memcpy(saved, page, PAGE_SIZE);
		put_trampoline(page, phys);
		start_all(phys);
		__builtin_memcpy(page, saved, PAGE_SIZE);
	}
	if (saved) {
		page_free(NULL, saved, 0);
	}
	log("smp: %u CPUs\n", cpu_count);
}

void smp_release(void)
{
	__atomic_store_n(&released, true, __ATOMIC_RELEASE);
}
