/*
 * What root finds when it starts: the HIP and its first capabilities.
 */
#include <lib/string.h>

#include "test.h"

/* The HIP says what it is, and its arrays lie in its length. */
static void hip_header(void)
{
	EQUAL(hip->signature, HIP_SIGNATURE);
	EQUAL(hip->api_version, HIP_API_VERSION);
	EQUAL(hip->cpu_size, sizeof(struct hip_cpu));
	EQUAL(hip->mem_size, sizeof(struct hip_mem));
	CHECK(hip->cpu_offset >= sizeof(struct hip));
	EQUAL(hip->mem_offset, hip->cpu_offset + HIP_CPUS * sizeof(struct hip_cpu));
	CHECK(hip->length <= PAGE_SIZE && hip->length > hip->mem_offset);
	EQUAL((hip->length - hip->mem_offset) % hip->mem_size, 0);
	EQUAL(hip->events_thread, EVENTS_THREAD);
	EQUAL(hip->events_vcpu, EVENTS_VCPU);
	EQUAL(hip->selectors, 1 << 27);
	EQUAL(hip->gsis, 192);
	EQUAL(hip->page_sizes & ~(1u << 30), 1 << 12 | 1 << 21);
	EQUAL(hip->utcb_sizes, UTCB_SIZE);
	CHECK(hip->tsc_khz > 1000);
}

/* All 16-bit words of its length add up to 0. */
static void hip_checksum(void)
{
	const uint16_t *word = (const uint16_t *)hip;
	uint16_t sum = 0;

	for (unsigned i = 0; i < hip->length / 2; i++)
		sum = (uint16_t)(sum + word[i]);
	EQUAL(sum, 0);
}

/* Enabled CPUs come first, the boot CPU is one of them. */
static void hip_cpus(void)
{
	const struct hip_cpu *cpu = (const void *)((const char *)hip + hip->cpu_offset);

	for (unsigned i = 0; i < HIP_CPUS; i++)
		EQUAL(cpu[i].flags & HIP_CPU_ENABLED, i < cpus);
	CHECK(boot_cpu < cpus);
}

/* What the processor says of itself; and no two are at the same place. */
static void hip_processors(void)
{
	const struct hip_cpu *cpu = (const void *)((const char *)hip + hip->cpu_offset), *b;
	uint32_t a = 1, ebx, c = 0, d, family, model;

	__asm__("cpuid" : "+a"(a), "=b"(ebx), "+c"(c), "=d"(d));
	family = a >> 8 & 15;
	model = a >> 4 & 15;
	if (family == 6 || family == 15)
		model |= a >> 12 & 0xf0;
	if (family == 15)
		family += a >> 20 & 0xff;
	for (unsigned i = 0; i < cpus; i++) {
		EQUAL(cpu[i].family, family);
		EQUAL(cpu[i].model, model);
		EQUAL(cpu[i].stepping_platform & 15, a & 15);
		for (unsigned n = 0; n < i; n++) {
			b = &cpu[n];
			CHECK(b->acpi_id != cpu[i].acpi_id);
			CHECK(b->thread != cpu[i].thread || b->core != cpu[i].core ||
			      b->package != cpu[i].package);
		}
	}
}

/* start.S: of the first instruction. */
extern const volatile uint64_t start_registers[16], start_rflags;

static void first_registers(void)
{
	enum { RSP = 4, RDI = 7 };

	for (unsigned i = 0; i < 16; i++)
		EQUAL(start_registers[i], i == RSP ? ROOT_HIP : i == RDI ? boot_cpu : 0);
	EQUAL(start_rflags, 0x202);
}

static bool takes_room(const struct hip_mem *m)
{
	return m->type != HIP_MEM_AVAILABLE &&
	       ((int)m->type >= HIP_MEM_MODULE || (int)m->type == HIP_MEM_LOG);
}

/* There is RAM, the kernel's own memory, and the module that runs. */
static void hip_memory(void)
{
	const struct hip_mem *m = (const void *)((const char *)hip + hip->mem_offset);
	unsigned n = (unsigned)(hip->length - hip->mem_offset) / hip->mem_size;
	unsigned available = 0, kernel = 0, modules = 0;

	for (unsigned i = 0; i < n; i++) {
		available += m[i].type == HIP_MEM_AVAILABLE;
		kernel += m[i].type == (uint32_t)HIP_MEM_KERNEL;
		modules += m[i].type == (uint32_t)HIP_MEM_MODULE;
	}
	CHECK(available > 0 && kernel > 0);
	/* Of the kernel, modules, the log and what the loader reserves nothing is in two. */
	for (unsigned i = 0; i < n * n; i++) {
		const struct hip_mem *a = &m[i / n], *b = &m[i % n];

		if (a != b && takes_room(a) && takes_room(b))
			CHECK(a->address + a->size <= b->address ||
			      b->address + b->size <= a->address);
	}
	EQUAL(modules, 1);
}

/* What the first bytes are of something at a physical address. */
static const char *bytes_at(uint64_t phys)
{
	unsigned long here = free_pages(1);

	for (unsigned i = 0; i < 2; i++)
		SETUP(take(CRD(CRD_MEM, MEM_R, 0, phys / PAGE_SIZE + i), 0,
			   CRD(CRD_MEM, MEM_R, 0, here / PAGE_SIZE + i)));
	return (const char *)here + phys % PAGE_SIZE;
}

/* The tables of ACPI, and the module with its command line, are where it says. */
static void hip_addresses(void)
{
	const struct hip_mem *m = (const void *)((const char *)hip + hip->mem_offset);
	unsigned n = (unsigned)(hip->length - hip->mem_offset) / hip->mem_size, tables = 0;

	for (unsigned i = 0; i < n; i++) {
		if ((int)m[i].type == HIP_MEM_RSDT || (int)m[i].type == HIP_MEM_XSDT) {
			const char *name = (int)m[i].type == HIP_MEM_RSDT ? "RSDT" : "XSDT";

			EQUAL(memcmp(bytes_at(m[i].address), name, 4), 0);
			tables++;
		} else if ((int)m[i].type == HIP_MEM_MODULE) {
			EQUAL(memcmp(bytes_at(m[i].address), "\177ELF", 4), 0);
			CHECK(m[i].aux);
			CHECK(memchr(bytes_at(m[i].aux), 0, PAGE_SIZE) != NULL);
		}
	}
	CHECK(tables > 0);
}

/* The kernel's log is memory that root can take; it begins with its name. */
static void hip_log(void)
{
	static const char name[] = "[0] Micronova";
	const struct hip_mem *m = (const void *)((const char *)hip + hip->mem_offset);
	unsigned n = (unsigned)(hip->length - hip->mem_offset) / hip->mem_size;
	unsigned long here = free_pages(2);
	unsigned found = 0;

	for (unsigned i = 0; i < n; i++) {
		if ((int)m[i].type != HIP_MEM_LOG)
			continue;
		found++;
		EQUAL(m[i].size, 4 * PAGE_SIZE);
		for (unsigned p = 0; p < 4; p++) {
			SETUP(take(CRD(CRD_MEM, MEM_R, 0, m[i].address / PAGE_SIZE + p), 0,
				   CRD(CRD_MEM, MEM_R, 0, here / PAGE_SIZE + p)));
		}
		EQUAL(memcmp((const char *)here, name, sizeof(name) - 1), 0);
		CHECK(memchr((const char *)here, 0, m[i].size) != NULL);
	}
	EQUAL(found, 1);
}

/* Read-only, and not root's to revoke or to give away. */
static void hip_page_is_fixed(void)
{
	EQUAL(probe_write((void *)ROOT_HIP, 0), FAULT(VECTOR_PF));
	EQUAL(look(CRD(CRD_MEM, 0, 0, ROOT_HIP / PAGE_SIZE)), 0);
	SETUP(revoke_self(CRD(CRD_MEM, RIGHTS_ALL, 0, ROOT_HIP / PAGE_SIZE)));
	EQUAL(hip->signature, HIP_SIGNATURE);
}

/* Root's UTCB is memory of root's: it may be where root wants it as well. */
static void root_utcb_elsewhere(void)
{
	static char room[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	uint64_t at = (uintptr_t)room / PAGE_SIZE;
	const volatile struct utcb *other = (const void *)room;

	SETUP(revoke_self(CRD(CRD_MEM, RIGHTS_ALL, 0, at)));
	set_item(CRD(CRD_MEM, MEM_R | MEM_W, 0, ROOT_UTCB / PAGE_SIZE), ITEM_DELEGATE);
	EQUAL(delegate(SEL_ROOT_PD, CRD(CRD_MEM, RIGHTS_ALL, 0, at), SEL_ROOT_PD), SUCCESS);
	EQUAL(look(CRD(CRD_MEM, 0, 0, at)), CRD(CRD_MEM, MEM_R | MEM_W, 0, at));
	my_utcb->word[17] = 0x1234567;
	EQUAL(other->word[17], 0x1234567);
}

/* 32 PD, 33 EC, 34 SC, with all rights; what comes before is root's. */
static void first_capabilities(void)
{
	for (unsigned long s = SEL_ROOT_PD; s <= SEL_MSR; s++)
		EQUAL(look(CRD(CRD_OBJ, 0, 0, s)), CRD(CRD_OBJ, RIGHTS_ALL, 0, s));
	for (unsigned long s = SEL_MSR + 1; s < SEL_EVENTS; s++)
		EQUAL(look(CRD(CRD_OBJ, 0, 0, s)), 0);
	uint64_t us;

	EQUAL(sc_time(SEL_ROOT_SC, &us), SUCCESS);
	EQUAL(ec_recall(SEL_ROOT_EC), SUCCESS);
	CHECK(usage(SEL_ROOT_PD) > 0);
}

/* Text cannot be written, data not executed. */
static void image_rights(void)
{
	static uint8_t code[] = {0x31, 0xc0, 0xc3}; /* xor %eax, %eax; ret */

	EQUAL(probe_write((void *)first_capabilities, 0), FAULT(VECTOR_PF));
	EQUAL(probe_execute(code), FAULT(VECTOR_PF));
	EQUAL(probe_write((void *)(uintptr_t)boot_tests, 0), FAULT(VECTOR_PF));
}

/* No port is root's until it takes it. */
static void no_ports(void)
{
	uint64_t value;

	EQUAL(probe_in(0x21, &value), FAULT(VECTOR_GP));
	EQUAL(probe_out(0x80, 0), FAULT(VECTOR_GP));
}

const struct test boot_tests[] = {
	{"boot.root_utcb_elsewhere", root_utcb_elsewhere, 0},
	{"boot.hip_header", hip_header, 0},
	{"boot.hip_checksum", hip_checksum, 0},
	{"boot.hip_cpus", hip_cpus, 0},
	{"boot.hip_processors", hip_processors, 0},
	{"boot.first_registers", first_registers, 0},
	{"boot.hip_memory", hip_memory, 0},
	{"boot.hip_addresses", hip_addresses, 0},
	{"boot.hip_log", hip_log, 0},
	{"boot.hip_page_is_fixed", hip_page_is_fixed, 0},
	{"boot.first_capabilities", first_capabilities, 0},
	{"boot.image_rights", image_rights, 0},
	{"boot.no_ports", no_ports, 0},
	{0},
};
