/*
 * How the kernel starts, and what the boot loader told it.
 *
 * All of that is copied out of the loader's memory at once, so that only the
 * modules themselves must be spared.
 */
#pragma once

#include <abi/hip.h>

#include "../types.h"

enum {
	HIP_HEAD = sizeof(struct hip) + HIP_CPUS * sizeof(struct hip_cpu),
	HIP_MEMS = (PAGE_SIZE - HIP_HEAD) / sizeof(struct hip_mem), /* that a page has room for */
	LOADER_MEMS = HIP_MEMS - 7,				    /* the rest is hip.c's */
	RSDP_SIZE = 36,
};

struct boot_info {
	const char *command_line; /* or NULL; and */
	uint32_t strings;	  /* so many bytes of boot_strings are used */
	uint32_t mems;
	struct hip_mem mem[HIP_MEMS + 48]; /* what memory is for; the last are not in the HIP */
	char rsdp[RSDP_SIZE];		   /* or zeroes */
};

extern struct boot_info boot_info;

/* multiboot.c: False: the magic number is neither version's, or the information is bad. */
[[nodiscard]] bool multiboot_parse(uint32_t magic, uint64_t info);

/* Is it a word of the kernel's command line? What nobody asks for is ignored. */
bool boot_option(const char *word);

/*
 * Physical memory during boot, before the identity map goes; NULL for what is
 * not all in it.
 */
void *boot_memory(uint64_t phys, uint64_t size);

/* The processor that boots; the other cpus[] are in the pool. */
extern struct cpu boot_cpu;

/* Its first way from start.S; tells what the rest of the boot does, step by step. */
_Noreturn void boot_main(uint32_t magic, uint32_t info);

/* A processor's window: TSS and stacks, out of the pool. */
void setup_window(struct cpu *cpu);
/* On the CPU itself, at boot and after sleep: every register that is set once. */
void setup_cpu(struct cpu *cpu);

/* smp.c, on the boot CPU: start all that the machine lists, one after the other. */
void smp_init(void);
/* Everything is ready, they may go on. */
void smp_release(void);

/* Before the pool takes its part: a page to start others in, which stays the kernel's. */
void smp_find_page(void);
/*
 * To wake up: the page that a CPU which starts there in real mode leaves for
 * cpu_main(), the boot CPU unless smp_restart() starts others; until released.
 * 0: there is no such page.
 */
uint64_t smp_trampoline(void);
/* Wake the others. */
void smp_restart(void);
