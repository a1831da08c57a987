/*
 * Boot modules: what the boot loader put beside the kernel. A module's name is
 * the first word of its command line, without directories.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <abi/hip.h>
#include <lib/syscall.h>

enum { MODULES = 64, MODULE_NAME = 64, MODULE_LINE = 1024 };

struct module {
	uint64_t address; /* physical */
	uint64_t size;	  /* bytes */
	char name[MODULE_NAME];
	char line[MODULE_LINE]; /* the whole command line */
};

/* Read the command lines, before any memory is given out. */
void module_init(const struct hip *hip);

/* By name, or null. Module 0 is root itself. */
const struct module *module_find(const char *name);
const struct module *module_at(unsigned i);

/*
 * Make it readable in root, from where it can be passed on. Modules stay: they
 * are nobody else's memory, and are used again when a program is restarted.
 */
[[nodiscard]] enum status module_map(const struct module *module, const void **address);

/* Give it to a PD, read-only, in whole pages; `to` is page-aligned. */
[[nodiscard]] enum status module_give(const struct module *module, unsigned long pd, uint64_t to);
