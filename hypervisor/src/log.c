/*
 * A small printf to the serial port COM1, and into a ring in memory that root
 * and debuggers can read; and the kernel's last words.
 *
 * The port belongs to root once it runs; the kernel still writes there when it
 * has something to say, which is at boot, at its end, and hardly ever between.
 *
 * One CPU panics; the others are stopped by an NMI, which reaches them whatever
 * they do. Nothing there takes a lock or allocates. Functions have no frame
 * pointers, so the backtrace is a guess: every word of the stack that is an
 * address behind a call instruction in the kernel's text. It may list a call too
 * many, left over from before, but none too few.
 */
#include "log.h"

#include <stdarg.h>

#include "x86/apic.h"
#include "x86/cpu.h"
#include "x86/insn.h"
#include "x86/kmem.h"

/* Ports of the 16550, one after the other. The first is for data. */
enum { COM1 = 0x3f8, COM_INTERRUPTS, COM_FIFO, COM_LINE, COM_MODEM, COM_STATUS };

/*
 * ROOM: it can take a byte. A dead port must not stop the kernel for long, but an emulated
 * one has room again only when somebody reads it, who may be away: some seconds.
 */
enum { LINE_8N1 = 0x03, LINE_DIVISOR = 0x80, STATUS_ROOM = 0x20, WAIT_MAX = 1 << 23 };

enum { NOBODY = ~0u };

static struct lock log_lock;
static uint32_t next;
static bool port_works;
static uint32_t panicking = NOBODY; /* atomic: the CPU that does */

/* From symbols.py: functions by rising address. */
extern const struct symbol {
	uint64_t address;
	const char *name;
} symbols[], symbols_end[];

void log_init(void)
{
	out8(COM_INTERRUPTS, 0);
	out8(COM_LINE, LINE_DIVISOR);
	out8(COM1, 1); /* 115200 baud, with the next */
	out8(COM_INTERRUPTS, 0);
	out8(COM_LINE, LINE_8N1);
	out8(COM_FIFO, 0x07);
	out8(COM_MODEM, 0x03);
	port_works = true;
}

static void port_put(char c)
{
	for (unsigned i = 0; port_works && !(in8(COM_STATUS) & STATUS_ROOM); i++)
		port_works = i < WAIT_MAX;
	if (port_works)
		out8(COM1, (uint8_t)c);
}

static void put(char c)
{
	log_ring[next++ % LOG_SIZE] = c;
	log_ring[next % LOG_SIZE] = 0;
	if (c == '\n')
		port_put('\r');
	port_put(c);
}

/* At least `width` digits. */
static void put_number(uint64_t value, unsigned base, unsigned width)
{
	if (value >= base || width > 1)
		put_number(value / base, base, width - (width > 0));
	put("0123456789abcdef"[value % base]);
}

static void print_va(const char *format, va_list arguments)
{
	for (; *format; format++) {
		unsigned width = 0;
		uint64_t value;

		if (*format != '%') {
			put(*format);
			continue;
		}
		while (*++format >= '0' && *format <= '9')
			width = width * 10 + (unsigned)(*format - '0');
		value = *format == 'l' || *format == 's' ? va_arg(arguments, uint64_t)
							 : va_arg(arguments, unsigned);
		format += *format == 'l';
		if (*format == 's')
			for (const char *s = (const char *)value; *s; s++)
				put(*s);
		else
			put_number(value, *format == 'x' ? 16 : 10, width);
	}
}

/* Without the lock: for who has it, and for a panic. */
__attribute__((format(printf, 1, 2))) static void print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_va(format, arguments);
	va_end(arguments);
}

void log(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	guard(&log_lock);
	print("[%u] ", this_cpu()->id);
	print_va(format, arguments);
	va_end(arguments);
}

static bool in_text(uint64_t address)
{
	return address >= (uint64_t)image_text && address < (uint64_t)image_text_end;
}

static void print_symbol(uint64_t address)
{
	const struct symbol *s = symbols_end - 1;

	while (s > symbols && s->address > address)
		s--;
	print("  %016lx %s+0x%lx\n", address, in_text(address) ? s->name : "not of the kernel",
	      address - s->address);
}

/* Is the instruction before this address a call? (SDM 2A: e8, ff /2) */
static bool follows_call(uint64_t address)
{
	const uint8_t *end = (const uint8_t *)address;
	bool call = in_text(address - 8) && end[-5] == 0xe8;

	for (int length = 2; in_text(address - 8) && length <= 7; length++)
		call |= end[-length] == 0xff && (end[1 - length] & 0x38) == 0x10;
	return call;
}

static void backtrace(uint64_t rip, uint64_t rsp)
{
	const uint64_t *word = (const uint64_t *)(rsp & ~7ul);

	print("backtrace:\n");
	print_symbol(rip);
	for (; (uint64_t)word < kmem_stack_end(rsp); word++)
		if (follows_call(*word))
			print_symbol(*word);
}

static void print_registers(const struct regs *regs)
{
	static const char names[][7] = {
		"r15", "r14", "r13", "r12", "rbp",    "rbx",   "r11", "r10", "r9",     "r8",  "rax",
		"rcx", "rdx", "rsi", "rdi", "vector", "error", "rip", "cs",  "rflags", "rsp", "ss"};
	static_assert(ARRAY_SIZE(names) * 8 == sizeof(*regs));

	print("cr2 %016lx cr3 %016lx", read_cr2(), read_cr3());
	for (unsigned i = ARRAY_SIZE(names); i--;)
		print("%s%s %016lx", i % 3 ? " " : "\n", names[i], ((const uint64_t *)regs)[i]);
	print("\n");
}

void panic_exception(const struct regs *regs, const char *format, ...)
{
	const struct cpu *me = this_cpu();
	va_list arguments;

	/* Only one CPU gets past this, and only once. */
	__asm__ volatile("cli");
	if (!atomic_replace(&panicking, NOBODY, me->id)) {
		if (panicking == me->id)
			print("panic: again\npanic: end\n");
		halt_forever();
	}
	apic_send(0, APIC_NMI_OTHERS);

	print("\npanic: ");
	va_start(arguments, format);
	print_va(format, arguments);
	va_end(arguments);
	print("\ncpu %u ec %016lx pd %016lx\n", me->id, (uint64_t)me->current, (uint64_t)me->pd);
	if (regs)
		print_registers(regs);
	backtrace(regs ? regs->rip : (uint64_t)__builtin_return_address(0),
		  regs ? regs->rsp : (uint64_t)__builtin_frame_address(0));
	print("panic: end\n");
	halt_forever();
}

void panic_nmi(void)
{
	if (__atomic_load_n(&panicking, __ATOMIC_RELAXED) != NOBODY)
		halt_forever();
}
