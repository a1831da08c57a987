/*
 * The kernel's last words. One CPU panics; the others are stopped by an NMI,
 * which reaches them whatever they do. Nothing here takes a lock or allocates.
 *
 * Functions have no frame pointers, so the backtrace is a guess: every word of
 * the stack that is an address behind a call instruction in the kernel's text.
 * It may list a call too many, left over from before, but none too few.
 */
#include "panic.h"

#include "log.h"
#include "x86/apic.h"
#include "x86/cpu.h"
#include "x86/insn.h"
#include "x86/kmem.h"
#include "x86/regs.h"

enum { BACKTRACE_MAX = 24, NOBODY = ~0u };

/* From symbols.py: functions by rising address. */
struct symbol {
	uint32_t address; /* low half */
	uint32_t name;	  /* offset in symbol_names */
};
extern const uint32_t symbol_count;
extern const struct symbol symbol_table[];
extern const char symbol_names[];

static uint32_t panicking = NOBODY; /* atomic: the CPU that does */

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_va(format, arguments);
	va_end(arguments);
}

static void say_symbol(uint64_t address)
{
	uint32_t low = 0, high = symbol_count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (symbol_table[middle].address <= (uint32_t)address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0) {
		say("  %p\n", (void *)address);
		return;
	}
	const struct symbol *s = &symbol_table[low - 1];

	say("  %p %s+0x%x\n", (void *)address, &symbol_names[s->name],
	    (uint32_t)address - s->address);
}

/* Is the instruction before this address a call? (SDM 2A: e8, ff /2) */
static bool follows_call(uint64_t address)
{
	if (address < (uint64_t)image_text + 8 || address >= (uint64_t)image_text_end)
		return false;
	const uint8_t *end = (const uint8_t *)address;

	if (end[-5] == 0xe8)
		return true;
	for (int length = 2; length <= 7; length++)
		if (end[-length] == 0xff && (end[1 - length] & 0x38) == 0x10)
			return true;
	return false;
}

static void backtrace(uint64_t rip, uint64_t rsp)
{
	const uint64_t *word = (const uint64_t *)(rsp & ~7ul);
	const uint64_t *end = (const uint64_t *)kmem_stack_end(rsp);
	unsigned n = 0;

	say("backtrace:\n");
	say_symbol(rip);
	for (; word < end && n < BACKTRACE_MAX; word++) {
		if (follows_call(*word)) {
			say_symbol(*word);
			n++;
		}
	}
}

static void say_registers(const struct regs *r)
{
	say("vector %lu error 0x%lx cr2 %p cr3 %p\n", r->vector, r->error, (void *)read_cr2(),
	    (void *)read_cr3());
	say("rip %p rsp %p rflags 0x%lx cs 0x%lx ss 0x%lx\n", (void *)r->rip, (void *)r->rsp,
	    r->rflags, r->cs, r->ss);
	say("rax %p rbx %p rcx %p\n", (void *)r->rax, (void *)r->rbx, (void *)r->rcx);
	say("rdx %p rsi %p rdi %p\n", (void *)r->rdx, (void *)r->rsi, (void *)r->rdi);
	say("rbp %p r8  %p r9  %p\n", (void *)r->rbp, (void *)r->r8, (void *)r->r9);
	say("r10 %p r11 %p r12 %p\n", (void *)r->r10, (void *)r->r11, (void *)r->r12);
	say("r13 %p r14 %p r15 %p\n", (void *)r->r13, (void *)r->r14, (void *)r->r15);
}

/* Only one CPU gets past this, and only once. */
static void claim(void)
{
	uint32_t nobody = NOBODY, me = this_cpu()->id;

	__asm__ volatile("cli");
	if (!__atomic_compare_exchange_n(&panicking, &nobody, me, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST)) {
		if (nobody == me)
			say("panic: again\npanic: end\n");
		halt_forever();
	}
	apic_send(0, APIC_NMI_OTHERS);
}

_Noreturn static void finish(uint64_t rip, uint64_t rsp)
{
	backtrace(rip, rsp);
	say("panic: end\n");
	halt_forever();
	__builtin_unreachable();
}

static void say_reason(const char *format, va_list arguments)
{
	say("\npanic: ");
	log_va(format, arguments);
	say("\ncpu %u ec %p pd %p\n", this_cpu()->id, (void *)this_cpu()->current,
	    (void *)this_cpu()->pd);
}

void panic(const char *format, ...)
{
	va_list arguments;

	claim();
	va_start(arguments, format);
	say_reason(format, arguments);
	va_end(arguments);
	finish((uint64_t)__builtin_return_address(0), (uint64_t)__builtin_frame_address(0));
}

void panic_exception(const struct regs *regs, const char *format, ...)
{
	va_list arguments;

	claim();
	va_start(arguments, format);
	say_reason(format, arguments);
	va_end(arguments);
	say_registers(regs);
	finish(regs->rip, regs->rsp);
}

void panic_nmi(void)
{
	if (__atomic_load_n(&panicking, __ATOMIC_RELAXED) != NOBODY)
		halt_forever();
}
