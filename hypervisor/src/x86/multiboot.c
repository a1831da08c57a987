/*
 * Multiboot 1 (specification 0.6.96, 3.3) and 2 (2.0, 3.6): two spellings of
 * the same facts. Everything is copied; lengths are checked against the
 * information's own, and what does not fit is left out.
 */
#include "multiboot.h"

#include "../log.h"
#include "../page.h"
#include "boot.h"

struct boot_info boot_info;

enum {
	MB1_MAGIC = 0x2badb002,
	MB2_MAGIC = 0x36d76289,
};

enum { STRINGS_SIZE = PAGE_SIZE };

static uint32_t strings_used;

/* Ranges that continue the last one are joined with it: EFI maps are long. */
static void add_range(uint64_t address, uint64_t size, uint32_t type)
{
	struct boot_info *b = &boot_info;

	if (size == 0 || address + size < address) {
		return;
	}
	if (b->ranges > 0) {
		struct boot_range *last = &b->range[b->ranges - 1];

		if (last->type == type &&
		    last->address + last->size == address) {
			last->size += size;
			return;
		}
	}
	if (b->ranges == BOOT_RANGES) {
		log("boot: memory at 0x%lx left out, the map is too long\n",
		    address);
		return;
	}
	b->range[b->ranges++] = (struct boot_range){address, size, type};
}

/* Copy at most size - 1 characters; returns how many. */
static uint32_t copy_string(char *to, uint32_t size, const char *from,
			    uint64_t from_size)
{
	uint32_t n = 0;

	while (n + 1 < size && n < from_size && from[n] != 0) {
		to[n] = from[n];
		n++;
	}
	to[n] = 0;
	return n;
}

/* The modules' strings go to the page that root may read (hypervisor.ld). */
static uint64_t keep_string(const char *from, uint64_t size)
{
	uint32_t room = STRINGS_SIZE - strings_used;
	char *to = boot_strings + strings_used;

	if (from == NULL || room <= 1) {
		return 0;
	}
	strings_used += copy_string(to, room, from, size) + 1;
	return (uint64_t)to - KERNEL_BASE;
}

static void add_module(uint64_t start, uint64_t end, const char *string,
		       uint64_t string_size)
{
	struct boot_info *b = &boot_info;

	if (end <= start || b->modules == BOOT_MODULES) {
		log("boot: module at 0x%lx left out\n", start);
		return;
	}
	b->module[b->modules++] = (struct boot_module){
		.phys = start,
		.size = end - start,
		.string = keep_string(string, string_size),
	};
}

static void set_command_line(const char *from, uint64_t size)
{
	if (from == NULL) {
		return;
	}
	copy_string(boot_info.command_line, sizeof(boot_info.command_line),
		    from, size);
}

/* Multiboot 1 */

struct mb1_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
	uint32_t mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
	uint32_t drives[2], config_table, loader_name, apm_table, vbe[4];
	uint32_t fb_addr[2], fb_pitch, fb_width, fb_height;
	uint8_t fb_bits, fb_type;
};

static_assert(offsetof(struct mb1_info, mmap_length) == 44);
static_assert(offsetof(struct mb1_info, fb_addr) == 88);
static_assert(offsetof(struct mb1_info, fb_type) == 109);

enum {
	MB1_CMDLINE = 1 << 2,
	MB1_MODULES = 1 << 3,
	MB1_MMAP = 1 << 6,
	MB1_FRAMEBUFFER = 1 << 12,

	MB1_STRING_MAX = 1024,
};

struct mb1_module {
	uint32_t start, end, string, reserved;
};

struct mb1_range {
	uint32_t size;		/* of what follows it */
	uint32_t address[2], length[2], type;
};

static uint64_t u64_of(const uint32_t half[2])
{
	return (uint64_t)half[1] << 32 | half[0];
}

static void mb1_ranges(const struct mb1_info *i)
{
	uint64_t at = i->mmap_addr, end = at + i->mmap_length;

	while (at + sizeof(struct mb1_range) <= end) {
		const struct mb1_range *r = boot_memory(at, sizeof(*r));

		if (r == NULL || r->size < sizeof(*r) - 4) {
			return;
		}
		add_range(u64_of(r->address), u64_of(r->length), r->type);
		at += r->size + 4ul;
	}
}

/* One more than there is room for, so that this is said. */
static void mb1_modules(const struct mb1_info *i)
{
	for (uint32_t n = 0; n < i->mods_count && n <= BOOT_MODULES; n++) {
		const struct mb1_module *m = boot_memory(
			i->mods_addr + n * sizeof(*m), sizeof(*m));

		if (m == NULL) {
			return;
		}
		add_module(m->start, m->end,
			   boot_memory(m->string, MB1_STRING_MAX),
			   MB1_STRING_MAX);
	}
}

static bool mb1_parse(uint64_t info)
{
	const struct mb1_info *i = boot_memory(info, sizeof(*i));

	if (i == NULL) {
		return false;
	}
	if (i->flags & MB1_CMDLINE) {
		set_command_line(boot_memory(i->cmdline, MB1_STRING_MAX),
				 MB1_STRING_MAX);
	}
	if (i->flags & MB1_MMAP) {
		mb1_ranges(i);
	}
	if (i->flags & MB1_MODULES) {
		mb1_modules(i);
	}
	if (i->flags & MB1_FRAMEBUFFER) {
		boot_info.framebuffer.address = u64_of(i->fb_addr);
		boot_info.framebuffer.pitch = i->fb_pitch;
		boot_info.framebuffer.width = i->fb_width;
		boot_info.framebuffer.height = i->fb_height;
		boot_info.framebuffer.bits = i->fb_bits;
		boot_info.framebuffer.type = i->fb_type;
	}
	return true;
}

/* Multiboot 2 */

struct mb2_tag {
	uint32_t type, size;
};

enum {
	MB2_END = 0,
	MB2_CMDLINE = 1,
	MB2_MODULE = 3,
	MB2_MMAP = 6,
	MB2_FRAMEBUFFER = 8,
	MB2_EFI64 = 12,
	MB2_RSDP_OLD = 14,
	MB2_RSDP_NEW = 15,
};

struct mb2_range {
	uint64_t address, length;
	uint32_t type, reserved;
};

struct mb2_framebuffer {
	uint64_t address;
	uint32_t pitch, width, height;
	uint8_t bits, type;
};

static void mb2_cmdline(const void *data, uint64_t size)
{
	set_command_line(data, size);
}

static void mb2_module(const void *data, uint64_t size)
{
	const uint32_t *bounds = data;

	if (size >= 8) {
		add_module(bounds[0], bounds[1], (const char *)&bounds[2],
			   size - 8);
	}
}

static void mb2_mmap(const void *data, uint64_t size)
{
	const uint32_t *head = data;
	uint64_t step = size >= 8 ? head[0] : 0;

	if (step < sizeof(struct mb2_range)) {
		return;
	}
	for (uint64_t at = 8; at + step <= size; at += step) {
		const struct mb2_range *r =
			(const void *)((const char *)data + at);

		add_range(r->address, r->length, r->type);
	}
}

static void mb2_framebuffer(const void *data, uint64_t size)
{
	const struct mb2_framebuffer *f = data;

	if (size < offsetof(struct mb2_framebuffer, type) + 1) {
		return;
	}
	boot_info.framebuffer.address = f->address;
	boot_info.framebuffer.pitch = f->pitch;
	boot_info.framebuffer.width = f->width;
	boot_info.framebuffer.height = f->height;
	boot_info.framebuffer.bits = f->bits;
	boot_info.framebuffer.type = f->type;
}

static void mb2_efi(const void *data, uint64_t size)
{
	if (size >= 8) {
		boot_info.efi = *(const uint64_t *)data;
	}
}

/* Either version; the newer one has more, and is kept. */
static void mb2_rsdp(const void *data, uint64_t size)
{
	uint32_t n = size < RSDP_SIZE ? (uint32_t)size : RSDP_SIZE;

	if (n > boot_info.rsdp_size) {
		__builtin_memcpy(boot_info.rsdp, data, n);
		boot_info.rsdp_size = n;
	}
}

static const struct {
	uint32_t type;
	void (*parse)(const void *data, uint64_t size);
} mb2_tags[] = {
	{MB2_CMDLINE, mb2_cmdline},	{MB2_MODULE, mb2_module},
	{MB2_MMAP, mb2_mmap},		{MB2_FRAMEBUFFER, mb2_framebuffer},
	{MB2_EFI64, mb2_efi},		{MB2_RSDP_OLD, mb2_rsdp},
	{MB2_RSDP_NEW, mb2_rsdp},
};

static void mb2_tag(const struct mb2_tag *tag)
{
	for (unsigned i = 0; i < ARRAY_SIZE(mb2_tags); i++) {
		if (mb2_tags[i].type == tag->type) {
			mb2_tags[i].parse(tag + 1, tag->size - sizeof(*tag));
		}
	}
}

static bool mb2_parse(uint64_t info)
{
	const uint32_t *head = boot_memory(info, 8);

	if (head == NULL || boot_memory(info, *head) == NULL) {
		return false;
	}
	uint64_t end = info + *head;

	for (uint64_t at = info + 8; at + sizeof(struct mb2_tag) <= end;) {
		const struct mb2_tag *tag = boot_memory(at, sizeof(*tag));

		if (tag->type == MB2_END || tag->size < sizeof(*tag) ||
		    tag->size > end - at) {
			break;
		}
		mb2_tag(tag);
		at += (tag->size + 7ul) & ~7ul;
	}
	return true;
}

bool multiboot_parse(uint32_t magic, uint64_t info)
{
	switch (magic) {
	case MB1_MAGIC:
		return mb1_parse(info);
	case MB2_MAGIC:
		return mb2_parse(info);
	default:
		return false;
	}
}
