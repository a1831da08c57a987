/*
 * The machine: the serial port to speak on, RAM, the way out.
 */
#include <stdarg.h>

#include <lib/io.h>
#include <lib/print.h>

#include "test.h"

enum {
	COM1 = 0x3f8,
	COM1_ORDER = 3,
	COM_STATUS = 5,
	COM_EMPTY = 1 << 5,

	DEBUG_EXIT = 0xf4,
	DEBUG_EXIT_ORDER = 2,

	LINE = 400,
};

const struct hip *hip;
unsigned boot_cpu, cpus;

static void put(char c)
{
	while (!(in8(COM1 + COM_STATUS) & COM_EMPTY))
		__asm__ volatile("pause");
	out8(COM1, (uint8_t)c);
}

void say(const char *format, ...)
{
	char line[LINE];
	va_list list;

	va_start(list, format);
	vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	for (const char *c = line; *c; c++) {
		if (*c == '\n')
			put('\r');
		put(*c);
	}
}

static void count_cpus(void)
{
	const struct hip_cpu *cpu = (const void *)((const char *)hip + hip->cpu_offset);

	while (cpus < MAX_CPUS && cpu[cpus].flags & HIP_CPU_ENABLED)
		cpus++;
}

static void take_ports(unsigned base, unsigned order)
{
	/* Without them there is no way to say so. */
	(void)!take(CRD(CRD_PIO, PIO_ACCESS, order, base), 0,
		    CRD(CRD_PIO, PIO_ACCESS, order, base));
}

void machine_init(void)
{
	take_ports(COM1, COM1_ORDER);
	take_ports(DEBUG_EXIT, DEBUG_EXIT_ORDER);
	count_cpus();
}

void machine_end(bool good)
{
	/* Let the last characters out. */
	sleep_us(100000);
	out8(DEBUG_EXIT, good ? 0 : 1);
	for (;;)
		sleep_us(1000000);
}

static bool overlaps(const struct hip_mem *m, uint64_t start, uint64_t size)
{
	return (int)m->type != HIP_MEM_FRAMEBUFFER && m->address < start + size &&
	       start < m->address + m->size;
}

static const struct hip_mem *ranges(unsigned *count)
{
	*count = (unsigned)(hip->length - hip->mem_offset) / hip->mem_size;
	return (const void *)((const char *)hip + hip->mem_offset);
}

static bool is_free(uint64_t start, uint64_t size)
{
	unsigned count;
	const struct hip_mem *m = ranges(&count);
	bool inside = false;

	for (unsigned i = 0; i < count; i++)
		if (m[i].type == HIP_MEM_AVAILABLE)
			inside |= m[i].address <= start && start + size <= m[i].address + m[i].size;
		else if (overlaps(&m[i], start, size))
			return false;
	return inside;
}

uint64_t free_ram(unsigned order)
{
	uint64_t size = PAGE_SIZE << order;
	unsigned count;
	const struct hip_mem *m = ranges(&count);

	for (unsigned i = 0; i < count; i++) {
		uint64_t at = m[i].address + m[i].size;

		/* Below 1 MiB are things that no list tells of. */
		for (at &= ~(size - 1);
		     m[i].type == HIP_MEM_AVAILABLE && at > m[i].address + size && at > 0x200000;) {
			at -= size;
			if (is_free(at, size))
				return at;
		}
	}
	return 0;
}
