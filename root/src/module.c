/*
 * Modules from the HIP. Their command lines lie where the boot loader left
 * them, perhaps in memory that counts as free.
 */
#include "module.h"

#include <lib/log.h>
#include <lib/string.h>

#include "memory.h"

static struct module modules[MODULES];
static unsigned module_count;

/* Copy the string at a physical address; empty if it cannot be read. */
static void read_line(uint64_t address, char line[MODULE_LINE])
{
	uint64_t offset = address % PAGE_SIZE;
	struct block pages = {
		.address = address - offset,
		.size = (offset + MODULE_LINE + PAGE_SIZE - 1) & -PAGE_SIZE,
	};
	void *at;
	size_t n;

	if (!address || memory_take(&pages, MEM_R, &at) != SUCCESS)
		return;
	n = strnlen((const char *)at + offset, MODULE_LINE - 1);
	memcpy(line, (const char *)at + offset, n);
	line[n] = 0;
	memory_drop(&pages);
}

static void set_name(struct module *m)
{
	const char *end = strchr(m->line, ' '), *begin;
	size_t n = end ? (size_t)(end - m->line) : strlen(m->line);

	for (begin = m->line + n; begin > m->line && begin[-1] != '/';)
		begin--;
	n -= (size_t)(begin - m->line);
	n = n < MODULE_NAME - 1 ? n : MODULE_NAME - 1;
	memcpy(m->name, begin, n);
	m->name[n] = 0;
}

void module_init(const struct hip *hip)
{
	uintptr_t at = (uintptr_t)hip + hip->mem_offset;
	uintptr_t end = (uintptr_t)hip + hip->length;

	for (; at + sizeof(struct hip_mem) <= end; at += hip->mem_size) {
		const struct hip_mem *mem = (const struct hip_mem *)at;
		struct module *m = &modules[module_count];

		if ((int)mem->type != HIP_MEM_MODULE)
			continue;
		if (module_count == MODULES) {
			log_error("modules: only the first %d are used", MODULES);
			return;
		}
		m->address = mem->address;
		m->size = mem->size;
		read_line(mem->aux, m->line);
		set_name(m);
		module_count++;
	}
}

const struct module *module_at(unsigned i)
{
	return i < module_count ? &modules[i] : NULL;
}

const struct module *module_find(const char *name)
{
	for (unsigned i = 0; i < module_count; i++)
		if (strcmp(modules[i].name, name) == 0)
			return &modules[i];
	return NULL;
}

/* The whole pages in which it lies. */
static struct block pages_of(const struct module *m)
{
	uint64_t begin = m->address & -PAGE_SIZE;

	return (struct block){
		.address = begin,
		.size = ((m->address + m->size + PAGE_SIZE - 1) & -PAGE_SIZE) - begin,
	};
}

enum status module_map(const struct module *module, const void **address)
{
	struct block pages = pages_of(module);
	void *at;
	enum status status = memory_take(&pages, MEM_R, &at);

	*address = (const char *)at + module->address % PAGE_SIZE;
	return status;
}

enum status module_give(const struct module *module, unsigned long pd, uint64_t to)
{
	struct block pages = pages_of(module);

	return memory_give(&pages, MEM_R, 0, pd, to);
}
