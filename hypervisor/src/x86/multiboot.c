/*
 * Multiboot 1 (specification 0.6.96, 3.3) and 2 (2.0, 3.6): two spellings of
 * the same facts. Everything is copied; lengths are checked against the
 * information's own, and what does not fit is left out.
 */
#include "multiboot.h"

#include "../log.h"
#include "../page.h"
#include "boot.h"
#include "records.h"

struct boot_info boot_info;

enum {
	MB1_MAGIC = 0x2badb002,
	MB2_MAGIC = 0x36d76289,

	STRING_MAX = 1024, /* Multiboot 1 tells no length */
	FRAMEBUFFER_SIZE = 22,
};

static_assert(offsetof(struct boot_framebuffer, type) == FRAMEBUFFER_SIZE - 1);

static uint32_t strings_used;

/* Ranges that continue the last one are joined with it: EFI maps are long. */
static void add_range(const struct boot_range *new)
{
	struct boot_info *b = &boot_info;
	struct boot_range *last = b->ranges ? &b->range[b->ranges - 1] : NULL;

	if (new->size == 0 || new->address + new->size < new->address)
		return;
	if (last && last->type == new->type && last->address + last->size == new->address)
		last->size += new->size;
	else if (b->ranges < BOOT_RANGES)
		b->range[b->ranges++] = *new;
	else
		log("boot: memory at 0x%lx left out, the map is too long\n", new->address);
}

/* Copy at most size - 1 characters; returns how many. */
static uint32_t copy_string(char *to, uint32_t size, const char *from, uint64_t from_size)
{
	uint32_t n = 0;

	while (from && n + 1 < size && n < from_size && from[n] != 0) {
		to[n] = from[n];
		n++;
	}
	to[n] = 0;
	return n;
}

/* The modules' strings go to the page that root may read (hypervisor.ld). */
static void add_module(uint64_t start, uint64_t end, const char *string, uint64_t string_size)
{
	struct boot_info *b = &boot_info;
	struct boot_module *m = &b->module[b->modules];
	uint32_t room = PAGE_SIZE - strings_used;
	char *to = boot_strings + strings_used;

	if (end <= start || b->modules == BOOT_MODULES) {
		log("boot: module at 0x%lx left out\n", start);
		return;
	}
	b->modules++;
	*m = (struct boot_module){.phys = start, .size = end - start};
	if (string && room > 1) {
		m->string = (uint64_t)to - KERNEL_BASE;
		strings_used += copy_string(to, room, string, string_size) + 1;
	}
}

/* Words are separated by 0 from here on. */
static void set_command_line(const char *from, uint64_t size)
{
	char *to = boot_info.command_line;
	uint32_t n = copy_string(to, sizeof(boot_info.command_line), from, size);

	for (uint32_t i = 0; i < n; i++)
		if (to[i] == ' ')
			to[i] = 0;
}

const char *boot_option(const char *name)
{
	const char *p = boot_info.command_line;

	for (; p < boot_info.command_line + sizeof(boot_info.command_line); p++) {
		const char *n = name;

		for (; *n && *n == *p; n++)
			p++;
		if (!*n && (!*p || *p == '='))
			return *p ? p + 1 : p;
		while (*p)
			p++;
	}
	return NULL;
}

/* Multiboot 1 */

struct mb1_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
	uint32_t mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
	uint32_t drives[2], config_table, loader_name, apm_table, vbe[4];
	char framebuffer[FRAMEBUFFER_SIZE];
};

static_assert(offsetof(struct mb1_info, mmap_length) == 44);
static_assert(offsetof(struct mb1_info, framebuffer) == 88);

enum {
	MB1_CMDLINE = 1 << 2,
	MB1_MODULES = 1 << 3,
	MB1_MMAP = 1 << 6,
	MB1_FRAMEBUFFER = 1 << 12,
};

struct mb1_module {
	uint32_t start, end, string, reserved;
};

/* One more than there is room for, so that this is said. */
static void mb1_modules(const struct mb1_info *i)
{
	for (uint32_t n = 0; n < i->mods_count && n <= BOOT_MODULES; n++) {
		const struct mb1_module *m = boot_memory(i->mods_addr + n * sizeof(*m), sizeof(*m));

		if (m == NULL)
			return;
		add_module(m->start, m->end, boot_memory(m->string, STRING_MAX), STRING_MAX);
	}
}

/* A range without padding, behind the number of bytes that follow it. */
static void mb1_ranges(const struct mb1_info *i)
{
	const uint64_t size = offsetof(struct boot_range, type) + 4;
	const char *map = boot_memory(i->mmap_addr, i->mmap_length);
	uint64_t at = 0, step;

	for (; map && at + 4 + size <= i->mmap_length; at += 4 + step) {
		struct boot_range r;

		step = record_number(map + at, 4);
		if (step < size)
			return;
		__builtin_memcpy(&r, map + at + 4, size);
		add_range(&r);
	}
}

static bool mb1_parse(uint64_t info)
{
	const struct mb1_info *i = boot_memory(info, sizeof(*i));

	if (i == NULL)
		return false;
	if (i->flags & MB1_CMDLINE)
		set_command_line(boot_memory(i->cmdline, STRING_MAX), STRING_MAX);
	if (i->flags & MB1_MMAP)
		mb1_ranges(i);
	if (i->flags & MB1_MODULES)
		mb1_modules(i);
	if (i->flags & MB1_FRAMEBUFFER)
		__builtin_memcpy(&boot_info.framebuffer, i->framebuffer, FRAMEBUFFER_SIZE);
	return true;
}

/* Multiboot 2: tags, each with its head of eight bytes. */

enum {
	MB2_CMDLINE = 1,
	MB2_MODULE = 3,
	MB2_MMAP = 6,
	MB2_FRAMEBUFFER = 8,
	MB2_EFI64 = 12,
	MB2_RSDP_OLD = 14,
	MB2_RSDP_NEW = 15,

	MB2_HEAD = 8,
};

static void mb2_cmdline(const void *tag, uint32_t size)
{
	set_command_line((const char *)tag + MB2_HEAD, size - MB2_HEAD);
}

static void mb2_module(const void *tag, uint32_t size)
{
	const uint32_t *word = tag;

	add_module(word[2], word[3], (const char *)&word[4], size - 16);
}

static void mb2_mmap(const void *tag, uint32_t size)
{
	uint64_t at = 16, step = ((const uint32_t *)tag)[2];

	while (step >= sizeof(struct boot_range) && at + step <= size) {
		add_range((const void *)((const char *)tag + at));
		at += step;
	}
}

static void mb2_framebuffer(const void *tag, uint32_t)
{
	__builtin_memcpy(&boot_info.framebuffer, (const char *)tag + MB2_HEAD, FRAMEBUFFER_SIZE);
}

static void mb2_efi(const void *tag, uint32_t)
{
	boot_info.efi = ((const uint64_t *)tag)[1];
}

/* Either version; the newer one has more, and is kept. */
static void mb2_rsdp(const void *tag, uint32_t size)
{
	uint32_t n = size - MB2_HEAD;

	n = n < RSDP_SIZE ? n : RSDP_SIZE;
	if (n > boot_info.rsdp_size) {
		__builtin_memcpy(boot_info.rsdp, (const char *)tag + MB2_HEAD, n);
		boot_info.rsdp_size = n;
	}
}

static bool mb2_parse(uint64_t info)
{
	static const struct records tags = {
		.layout = {4, 4, 4, 8},
		.known = {{MB2_CMDLINE, MB2_HEAD, mb2_cmdline},
			  {MB2_MODULE, 16, mb2_module},
			  {MB2_MMAP, 16, mb2_mmap},
			  {MB2_FRAMEBUFFER, MB2_HEAD + FRAMEBUFFER_SIZE, mb2_framebuffer},
			  {MB2_EFI64, 16, mb2_efi},
			  {MB2_RSDP_OLD, MB2_HEAD, mb2_rsdp},
			  {MB2_RSDP_NEW, MB2_HEAD, mb2_rsdp}},
	};
	const uint32_t *head = boot_memory(info, 8);

	if (!head || *head < 8 || !boot_memory(info, *head))
		return false;
	if (records_parse(head + 2, *head - 8, &tags) < *head - 8)
		log("boot: the loader's information is cut short\n");
	return true;
}

bool multiboot_parse(uint32_t magic, uint64_t info)
{
	return magic == MB1_MAGIC ? mb1_parse(info) : magic == MB2_MAGIC ? mb2_parse(info) : false;
}
