/*
 * Processors that come late or not at all. What is asked of one is done at once, as if it
 * had run meanwhile: as far as it gets before it waits, or is reset.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "x86/insn.h"

#define __builtin_ia32_pause fake_pause
static void fake_pause(void);
#include "../../hypervisor/src/x86/smp.c"

enum { BOOT = 5, LATE, GOOD, DEAD }; /* APIC IDs */

struct cpu boot_cpu;
struct machine machine = {.cpu = {{BOOT, 0}, {LATE, 0}, {DEAD, 0}, {GOOD, 0}}, .cpus = 4};
uint32_t apic_id_max = 254;
const char trampoline_start[2] = "x";
__asm__(".globl trampoline_end; .set trampoline_end, trampoline_start + 1");

static uint8_t pages[16 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static unsigned used, inits[16], startups[16], waits;
static struct cpu *good;
static jmp_buf *waiting; /* where to go when a processor has come as far as it gets */

/* A processor goes through cpu_main() until it has to wait. */
static void run(struct cpu *cpu)
{
	jmp_buf here;

	waiting = &here;
	if (!setjmp(here))
		cpu_main(cpu, 0, 0);
	waiting = NULL;
}

static void fake_pause(void)
{
	if (waiting)
		longjmp(*waiting, 1);
	/* The boot CPU waits for one that was released. */
	assert_true(waits++ < 10);
	run(good);
}

/* One comes at the second message, one just when it is given up, one never. */
void apic_send(uint32_t id, uint32_t message)
{
	if (message == APIC_INIT) {
		inits[id]++;
		if (id == LATE && inits[id] == 2)
			run(starting_cpu);
	} else if (++startups[id] == 2 && id == GOOD) {
		good = starting_cpu;
		run(good);
	}
}

void kernel_start(struct cpu *cpu)
{
	(void)cpu;
	longjmp(*waiting, 1);
}

void *page_alloc(struct pd *payer, unsigned order, bool zero)
{
	(void)payer, (void)order, (void)zero;
	used++;
	return pages + used * PAGE_SIZE;
}

bool hip_is_free(uint64_t phys, uint64_t size)
{
	return phys == 0x9c000 && size == PAGE_SIZE;
}

void hip_add(uint64_t phys, uint64_t size, int type)
{
	assert_int_equal(phys, 0x9c000);
	assert_int_equal(size, PAGE_SIZE);
	assert_int_equal(type, HIP_MEM_KERNEL);
}

void *boot_memory(uint64_t phys, uint64_t size)
{
	(void)phys, (void)size;
	return pages;
}

void tsc_delay(uint64_t microseconds)
{
	(void)microseconds;
}

void log(const char *format, ...)
{
	(void)format;
}

void panic_exception(const struct regs *regs, const char *format, ...)
{
	(void)regs, (void)format;
	fail();
	__builtin_trap();
}

void kmem_load(void)
{
}

void setup_window(struct cpu *cpu)
{
	(void)cpu;
}

void setup_cpu(struct cpu *cpu)
{
	(void)cpu;
}

void suspend_wake(void)
{
	fail();
}

void boot_main(uint32_t magic, uint32_t info)
{
	(void)magic, (void)info;
	fail();
	__builtin_trap();
}

static void test_late(void **state)
{
	(void)state;
	boot_cpu.apic_id = BOOT;
	boot_cpu.idle = (struct ec *)pages;
	smp_find_page();
	assert_int_equal(smp_trampoline(), 0x9c000);
	smp_init();
	/* Whoever is counted has come, and is who it is taken for. */
	assert_int_equal(cpu_count, 2);
	assert_non_null(good);
	assert_ptr_equal(cpus[1], good);
	assert_int_equal(cpus[1]->apic_id, GOOD);
	assert_int_equal(inits[LATE], 2);
	assert_int_equal(inits[DEAD], 2);
	assert_int_equal(inits[GOOD], 1);
	assert_int_equal(inits[BOOT], 0);
	/* Those that did not come are not waited for. */
	smp_release();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
