/*
 * Faults on purpose: to see that a program's end is reported, and that nothing
 * else ends with it. Argument: what to do, one of the table's names.
 */
#include <lib/log.h>
#include <lib/program.h>
#include <lib/string.h>
#include <lib/time.h>

static void read_nothing(void)
{
	*(volatile int *)0x1234;
}

static void write_text(void)
{
	*(volatile uint8_t *)(uintptr_t)read_nothing = 0;
}

static void run_data(void)
{
	static uint8_t code[1] = {0xc3};
	void (*function)(void) = (void (*)(void))(uintptr_t)code;

	function();
}

static void undefined(void)
{
	__asm__ volatile("ud2");
}

static void privileged(void)
{
	__asm__ volatile("hlt");
}

static void divide(void)
{
	__asm__ volatile("xor %%edx, %%edx; xor %%ecx, %%ecx; div %%ecx" : : : "eax", "ecx", "edx");
}

static void port(void)
{
	__asm__ volatile("in %%dx, %%al" : : "d"(0x3f8) : "eax");
}

/* Each call needs its own frame; the stack holds fewer than these. */
static unsigned recurse(unsigned depth, volatile uint8_t *above)
{
	volatile uint8_t frame[1024];

	frame[0] = above ? above[0] : 0;
	return depth ? recurse(depth - 1, frame) + frame[0] : 0;
}

static void overflow(void)
{
	recurse(1 << 20, NULL);
}

static const struct {
	const char *name;
	void (*function)(void);
} table[] = {
	{"read", read_nothing},	  {"write-text", write_text}, {"run-data", run_data},
	{"undefined", undefined}, {"privileged", privileged}, {"divide", divide},
	{"port", port},		  {"stack", overflow},
};

int program_main(const struct program_info *info)
{
	const char *what = info->arguments[0] ? info->arguments : "read";

	for (unsigned i = 0; i < sizeof(table) / sizeof(*table); i++) {
		if (strcmp(table[i].name, what) == 0) {
			log_info("about to %s", what);
			time_sleep(NS_PER_S);
			table[i].function();
			log_error("%s had no effect", what);
			return 1;
		}
	}
	log_error("arguments: do not know %s", what);
	return 1;
}
