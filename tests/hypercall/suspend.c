/*
 * The machine sleeps (ACPI S3) and the real-time clock's alarm wakes it up:
 * whatever went on before goes on after it. Last of all, as what fails here
 * leaves little behind.
 */
#include <lib/string.h>

#include "test.h"

enum {
	TYPE_S3 = 1, /* of QEMU's and of Bochs' chipsets */
	ALARM_S = 2,

	FADT_PM1A_EVENT = 56,
	FADT_SIZE = 116,
	PM1_RTC_ENABLE = 1 << 10, /* in the register 2 behind */

	RTC = 0x70,
	RTC_DATA = 0x71,
	RTC_B_24H = 2,
	RTC_B_ALARM = 0x20,
	RTC_ANY = 0xc0,

	BLOCK_ORDER = 5, /* pages: enough for all of a small machine's */
	BLOCK = PAGE_SIZE << BLOCK_ORDER,
	SECOND = 1000000,
};

struct table {
	char signature[4];
	uint32_t length;
	char more[28];
	uint32_t entry[];
};

/* Physical memory with what is around it; it stays until the test's end. */
static void *physical(uint64_t at)
{
	unsigned long here = free_pages(BLOCK_ORDER);

	SETUP(take(CRD(CRD_MEM, RIGHTS_ALL, BLOCK_ORDER, at / BLOCK << BLOCK_ORDER), 0,
		   CRD(CRD_MEM, MEM_R | MEM_W, BLOCK_ORDER, here / PAGE_SIZE)));
	return (char *)here + at % BLOCK;
}

static uint64_t hip_address(int type)
{
	const struct hip_mem *m = (const void *)((const char *)hip + hip->mem_offset);
	unsigned n = (unsigned)(hip->length - hip->mem_offset) / hip->mem_size;

	for (unsigned i = 0; i < n; i++)
		if ((int)m[i].type == type)
			return m[i].address;
	return 0;
}

/* The port of the PM1a event block, or 0. */
static unsigned find_pm1(void)
{
	uint64_t phys = hip_address(HIP_MEM_RSDT);
	const struct table *rsdt = phys ? physical(phys) : NULL;
	uint32_t port = 0;

	for (unsigned i = 0; rsdt && i < (rsdt->length - 36) / 4; i++) {
		const struct table *t = physical(rsdt->entry[i]);

		if (memcmp(t->signature, "FACP", 4) == 0 && t->length >= FADT_SIZE)
			memcpy(&port, (const char *)t + FADT_PM1A_EVENT, 4);
	}
	return port;
}

static void out16(unsigned port, unsigned value)
{
	__asm__ volatile("outw %w0, %w1" : : "a"(value), "Nd"(port));
}

static unsigned rtc(unsigned index)
{
	uint64_t value;

	NEED(probe_out(RTC, index) == 0);
	NEED(probe_in(RTC_DATA, &value) == 0);
	return (unsigned)value & 0xff;
}

static void set_rtc(unsigned index, unsigned value)
{
	NEED(probe_out(RTC, index) == 0);
	NEED(probe_out(RTC_DATA, value) == 0);
}

static void set_alarm(void)
{
	unsigned seconds = rtc(0);

	seconds = (seconds / 16 * 10 + seconds % 16 + ALARM_S) % 60;
	set_rtc(1, seconds / 10 * 16 + seconds % 10);
	set_rtc(3, RTC_ANY);
	set_rtc(5, RTC_ANY);
	rtc(12);
	set_rtc(11, RTC_B_24H | RTC_B_ALARM);
}

/*
 * Firmware may leave it to us to set the chipset up again, where these registers
 * are.
 */
enum { PCI = 0xcf8, PCI_DATA = 0xcfc, PCI_WORDS = 64 };
static uint32_t config[32 * 8 * PCI_WORDS];

static uint32_t pci(unsigned i)
{
	uint32_t value;

	__asm__ volatile("outl %0, %w1" : : "a"(1u << 31 | i << 2), "Nd"(PCI));
	__asm__ volatile("inl %w1, %0" : "=a"(value) : "Nd"(PCI_DATA));
	return value;
}

static void pci_save(void)
{
	for (unsigned i = 0; i < sizeof(config) / 4; i++)
		config[i] = pci(i);
}

static void pci_restore(void)
{
	for (unsigned i = 0; i < sizeof(config) / 4; i++)
		if (pci(i) != config[i])
			__asm__ volatile("outl %0, %w1" : : "a"(config[i]), "Nd"(PCI_DATA));
}

enum { SEABIOS_AP = 0x10000 };
static const uint8_t stay[] = {0xfa, 0xf4, 0xeb, 0xfd}; /* cli; hlt; jmp */
static unsigned pm1;

static void ports(unsigned base, unsigned order)
{
	SETUP(take(CRD(CRD_PIO, PIO_ACCESS, order, base), 0,
		   CRD(CRD_PIO, PIO_ACCESS, order, base)));
}

/* By the main thread, once in a test. */
static void prepare(void)
{
	pm1 = find_pm1();
	if (!pm1)
		test_skip("no ACPI sleep");
	/*
	 * SeaBIOS starts the other CPUs here when it wakes up, and puts back
	 * what was there before they have come, so that they run into it.
	 */
	memcpy(physical(SEABIOS_AP), stay, sizeof(stay));
	ports(pm1, 2);
	ports(PCI, 3);
	ports(RTC, 1);
	pci_save();
}

/* By any. */
static void sleep_and_wake(void)
{
	out16(pm1 + 2, PM1_RTC_ENABLE);
	set_alarm();
	EQUAL(suspend(SEL_SUSPEND, TYPE_S3, TYPE_S3), SUCCESS);
	pci_restore();
	rtc(12);
	set_rtc(11, RTC_B_24H);
}

void suspend_twice(void)
{
	prepare();
	sleep_and_wake();
	sleep_and_wake();
}

/* A call, a down with a deadline, the time: on every CPU. */
static void check(struct frame *f)
{
	uint64_t before = rdtsc();

	f->value[0] += sm_down(SEL_FOREVER, in_us(20000)) == TIMEOUT;
	f->value[1] = rdtsc() - before;
}

static void works(unsigned cpu)
{
	struct frame *t = make_thread(SEL_ROOT_PD, cpu, 2, check, 0);

	WAIT(t->value[0]);
	CHECK(t->value[1] >= tsc_of_us(20000));
}

/* Adds up until it is told to end; its registers are its own throughout. */
static volatile bool stop;

static void compute(struct frame *f)
{
	uint64_t mine = 0x1234567890abcdef + f->cpu;

	fpu_fill(mine);
	while (!stop) {
		f->value[0]++;
		f->value[1] += fpu_compare(mine);
	}
	f->value[2] = 1;
}

static void nap(struct frame *f)
{
	f->value[0] = 1 + sm_down(SEL_FOREVER, in_us(f->argument));
}

static void threads(void)
{
	struct frame *busy[MAX_CPUS], *sleeper;
	uint64_t before, count[MAX_CPUS];

	prepare();
	stop = false;
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		busy[cpu] = make_thread(SEL_ROOT_PD, cpu, 1, compute, 0);
		WAIT(busy[cpu]->value[0]);
	}
	sleeper = make_thread(SEL_ROOT_PD, cpus - 1, 3, nap, SECOND / 2);
	before = rdtsc();
	sleep_and_wake();
	CHECK(rdtsc() > before);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		count[cpu] = busy[cpu]->value[0];
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		works(cpu);
		WAIT(busy[cpu]->value[0] > count[cpu]);
	}
	WAIT(sleeper->value[0] == 1 + TIMEOUT);
	stop = true;
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		WAIT(busy[cpu]->value[2]);
		EQUAL(busy[cpu]->value[1], 0);
	}
}

/* From another CPU than the one that wakes up first. */
static void elsewhere(struct frame *f)
{
	f->value[0] = 1;
	sleep_and_wake();
	f->value[0] = 2;
}

static void other_cpu(void)
{
	struct frame *t;

	prepare();
	t = make_thread(SEL_ROOT_PD, cpus - 1, 5, elsewhere, 0);
	for (unsigned i = 0; i < LONG_US / SECOND && t->value[0] != 2; i++)
		sleep_us(SECOND);
	EQUAL(t->value[0], 2);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		works(cpu);
}

/*
 * Where processors start nobody else can write, or let a device do so: it would be what wakes up.
 */
static void trampoline(void)
{
	enum { LOW_END = 0xa0000 };
	const struct hip_mem *m = (const void *)((const char *)hip + hip->mem_offset);
	unsigned n = (unsigned)(hip->length - hip->mem_offset) / hip->mem_size, found = 0;
	unsigned long here = free_pages(0);

	for (unsigned i = 0; i < n; i++) {
		if ((int)m[i].type != HIP_MEM_KERNEL || m[i].address >= LOW_END)
			continue;
		found++;
		EQUAL(m[i].size, PAGE_SIZE);
		SETUP(take(CRD(CRD_MEM, RIGHTS_ALL, 0, m[i].address / PAGE_SIZE), ITEM_DMA,
			   CRD(CRD_MEM, RIGHTS_ALL, 0, here / PAGE_SIZE)));
		EQUAL(look(CRD(CRD_MEM, 0, 0, here / PAGE_SIZE)), 0);
	}
	EQUAL(found, 1);
}

/* Interrupts go where they went, masked if they were; after several sleeps. */
static void interrupts(void)
{
	enum { RTC_GSI = 8 };
	unsigned long sm = gsi_sm(RTC_GSI);

	SETUP(assign_gsi(sm, cpus - 1, 0));
	suspend_twice();
	while (sm_down_all(sm, in_us(1000)) == SUCCESS) {
	}
	rtc_start();
	EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
	rtc_stop();
}

/* The machine does not know this type, and goes on. */
static void stays_awake(void)
{
	prepare();
	EQUAL(suspend(SEL_SUSPEND, 7, 7), BAD_DEVICE);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		works(cpu);
}

const struct test suspend_tests[] = {
	{"suspend.stays_awake", stays_awake, 0},
	{"suspend.threads", threads, 0},
	{"suspend.other_cpu", other_cpu, 2},
	{"suspend.interrupts", interrupts, 0},
	{"suspend.vcpu", suspend_vcpu, 0},
	{"suspend.trampoline", trampoline, 0},
	{0},
};
