#include "guest.h"

volatile uint64_t trap_count[VECTORS];
volatile uint64_t trap_error, trap_address;
volatile uint64_t recover;
void (*volatile on_interrupt)(unsigned vector);

static unsigned failures;
static bool always_recover;

extern const char stubs[];

static struct {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, zero;
} idt[VECTORS];

static void put(char c)
{
	while (!(in8(COM1 + 5) & 0x20)) {
	}
	out8(COM1, (uint8_t)c);
}

void put_string(const char *s)
{
	for (; *s != 0; s++) {
		if (*s == '\n')
			put('\r');
		put(*s);
	}
}

void put_number(uint64_t n)
{
	if (n >= 16)
		put_number(n / 16);
	put("0123456789abcdef"[n % 16]);
}

static void start_line(const char *name, bool ok)
{
	put_string("guest: ");
	put_string(name);
	put_string(ok ? " ok" : " FAIL");
	failures += !ok;
}

void check(const char *name, bool ok)
{
	start_line(name, ok);
	put_string("\n");
}

void check_equal(const char *name, uint64_t is, uint64_t should)
{
	start_line(name, is == should);
	if (is != should) {
		put_string(": 0x");
		put_number(is);
		put_string(", not 0x");
		put_number(should);
	}
	put_string("\n");
}

void end(void)
{
	put_string("guest: done, 0x");
	put_number(failures);
	put_string(" failures\n");
	out32(DEBUG_EXIT, failures);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void init_traps(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = {sizeof(idt) - 1, (uint64_t)idt};

	for (unsigned i = 0; i < VECTORS; i++) {
		uint64_t at = (uint64_t)stubs + i * 16;

		idt[i].offset_low = (uint16_t)at;
		idt[i].selector = CODE_SEGMENT;
		idt[i].type = 0x8e;
		idt[i].offset_middle = (uint16_t)(at >> 16);
		idt[i].offset_high = (uint32_t)(at >> 32);
	}
	__asm__ volatile("lidt %0" : : "m"(idtr));
}

void use_ist(void)
{
	for (unsigned i = 0; i < VECTORS; i++)
		idt[i].ist = 1;
	always_recover = true;
}

static _Noreturn void unexpected(const struct frame *f)
{
	put_string("guest: unexpected trap 0x");
	put_number(f->vector);
	put_string(" at 0x");
	put_number(f->rip);
	put_string(" error 0x");
	put_number(f->error);
	put_string(" FAIL\n");
	failures++;
	end();
}

void trap(struct frame *f)
{
	trap_count[f->vector]++;
	if (always_recover) {
		f->rip = recover;
		f->rflags = 2;
		return;
	}
	if (f->vector >= 32 || f->vector == 2) {
		if (on_interrupt != 0)
			on_interrupt((unsigned)f->vector);
		return;
	}
	if (f->vector == 3)
		return;
	if (recover == 0)
		unexpected(f);
	trap_error = f->error;
	__asm__ volatile("mov %%cr2, %0" : "=r"(trap_address));
	f->rip = recover;
	f->r11 = f->vector;
}
