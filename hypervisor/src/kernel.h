/*
 * What boot calls, in this order.
 */
#pragma once

#include "types.h"

/* Whose capability is the right to suspend. */
extern struct sm *sm_suspend;

/* For each CPU, on it, before its first interrupt: queues, idle EC. */
void kernel_init_cpu(struct cpu *cpu);
/* Once, on the boot CPU: root, ready to run. Low memory is still mapped. */
void kernel_create_root(void);
/* This CPU runs what there is to run. */
_Noreturn void kernel_start(struct cpu *cpu);

/*
 * elf.c: a static ELF64 file, for each page of which map() is called: where it
 * is, where it is wanted, MEM_ rights. Returns the entry; panics if it cannot be.
 */
typedef void map_page(uint64_t phys, uint64_t address, unsigned rights);
uint64_t elf_load(uint64_t phys, uint64_t size, map_page *map);
