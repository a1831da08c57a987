/*
 * What the guests for tests share: instructions, traps, the serial line, and
 * the end. A guest prints "guest: NAME ok" or "guest: NAME FAIL ..." for each
 * thing it looks at, and ends its VM with the number of failures.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	CODE_SEGMENT = 0x10,
	VECTORS = 256,

	COM1 = 0x3f8,
	DEBUG_EXIT = 0xf4,
	NOWHERE_PORT = 0x1234,

	MSR_TSC = 0x10,
	MSR_APIC_BASE = 0x1b,
	MSR_TSC_DEADLINE = 0x6e0,
	MSR_EOI = 0x80b,
	MSR_SVR = 0x80f,
	MSR_ICR = 0x830,
	MSR_LVT_TIMER = 0x832,
	MSR_LVT_LINT0 = 0x835,
	MSR_INITIAL_COUNT = 0x838,
	MSR_DIVIDE = 0x83e,
	MSR_EFER = 0xc0000080,
	MSR_STAR = 0xc0000081,
	MSR_LSTAR = 0xc0000082,
	MSR_GS_BASE = 0xc0000101,
	MSR_KERNEL_GS_BASE = 0xc0000102,
};

/* What common in start.S pushes, from the last. */
struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

/* Traps so far, and what the last was. */
extern volatile uint64_t trap_count[VECTORS];
extern volatile uint64_t trap_error, trap_address;
/* Called for each vector from 32 on, and NMI. */
extern void (*volatile on_interrupt)(unsigned vector);

void guest_main(void);
void trap(struct frame *frame);

/* lib.c */
void put_string(const char *s);
void put_number(uint64_t n);
void check(const char *name, bool ok);
/* And what it was and should have been. */
void check_equal(const char *name, uint64_t is, uint64_t should);
void init_traps(void);
/* All traps on the stack of IST 1, all go on at `recover`. */
void use_ist(void);
_Noreturn void end(void);

/*
 * Run an instruction that may fault: the vector, or -1. The fault goes on at
 * the label behind it.
 */
extern volatile uint64_t recover;
#define TRY(instruction, ...)                                          \
	({                                                             \
		int vector_ = -1;                                      \
		__asm__ volatile("lea 1f(%%rip), %%r11\n\t"            \
				 "mov %%r11, recover(%%rip)\n\t"       \
				 "xor %%r11d, %%r11d\n\t"              \
				 "dec %%r11\n\t" instruction "\n"      \
				 "1:\tmov %%r11d, %[vector]\n\t"       \
				 "movq $0, recover(%%rip)"             \
				 : [vector] "=m"(vector_)__VA_ARGS__); \
		vector_;                                               \
	})

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline void cpuid(uint32_t leaf, uint32_t r[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(0));
}

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void interrupts_on(void)
{
	__asm__ volatile("sti; nop" : : : "memory");
}

static inline void interrupts_off(void)
{
	__asm__ volatile("cli" : : : "memory");
}
