/*
 * Multiboot 1 (specification 0.6.96, 3.3) and 2 (2.0, 3.6): two spellings of
 * the same facts, which are kept as the HIP has them. Everything is copied;
 * lengths are checked against the information's own, and what does not fit is
 * left out.
 */
#include "../log.h"
#include "boot.h"
#include "hip.h"
#include "insn.h"
#include "kmem.h"
#include "records.h"

struct boot_info boot_info;

enum { MB1_MAGIC = 0x2badb002, MB2_MAGIC = 0x36d76289 };
/* Of strings Multiboot 1 tells no length; where the RSDP has its version. */
enum { STRING_MAX = 1024, RANGE_SIZE = 24, RSDP_REVISION = 15 };

/*
 * Ranges that continue the last one are joined with it: EFI maps are long. What
 * is empty, but for an address alone, or where no memory can be is a lie. (A
 * screen's size is none.)
 */
static void add(uint64_t address, uint64_t size, int type, uint64_t aux)
{
	struct hip_mem *last = &boot_info.mem[boot_info.mems] - 1;
	uint64_t end = type == HIP_MEM_FRAMEBUFFER ? ~0ul : physical_end();

	if ((!size && type != HIP_MEM_EFI) || address > end || size > end - address ||
	    boot_info.mems == LOADER_MEMS)
		log("boot: 0x%lx bytes at 0x%lx left out\n", size, address);
	else if (boot_info.mems && type > 0 && last->type == (uint32_t)type &&
		 last->address + last->size == address)
		last->size += size;
	else
		boot_info.mem[boot_info.mems++] = (struct hip_mem){address, size, (uint32_t)type,
								   (uint32_t)aux};
}

/* Into the page that root may read (hypervisor.ld); what has no room is cut off. */
static const char *keep(const char *from, uint64_t size)
{
	char *start = boot_strings + boot_info.strings, *to = start;

	while (from && size-- && *from && to < boot_strings + PAGE_SIZE - 1)
		*to++ = *from++;
	*to = 0;
	boot_info.strings = (uint32_t)(to - boot_strings) + (to < boot_strings + PAGE_SIZE - 1);
	return start;
}

/*
 * Each begins like the HIP's, and is so long; 0: before each stands how many bytes
 * follow (version 1).
 */
static void ranges(const char *at, uint64_t left, uint32_t size)
{
	struct hip_mem r;

	while (at && left >= RANGE_SIZE) {
		uint64_t step = size ? size : 4ul + record_number(at, 4);

		if (step < RANGE_SIZE || step > left)
			return;
		__builtin_memcpy(&r, size ? at : at + 4, RANGE_SIZE - 4);
		add(r.address, r.size, (int)r.type > 0 ? (int)r.type : HIP_MEM_RESERVED, 0);
		at += step;
		left -= step;
	}
}

struct framebuffer {
	uint64_t address;
	uint32_t pitch, width, height;
	uint8_t bits, type;
} __attribute__((packed));

static void framebuffer(const struct framebuffer *f)
{
	if (f->address)
		add(f->address,
		    (uint64_t)f->width << 40 | (uint64_t)f->height << 16 | (uint64_t)f->type << 8 |
			    f->bits,
		    HIP_MEM_FRAMEBUFFER, f->pitch);
}

bool boot_option(const char *word)
{
	const char *p = boot_info.command_line, *w;

	while (p && *p) {
		for (w = word; *w && *w == *p; w++)
			p++;
		if (!*w && (!*p || *p == ' '))
			return true;
		while (*p && *p++ != ' ') {
		}
	}
	return false;
}

/* Multiboot 1 */

struct mb1_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
	uint32_t mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
	uint32_t drives[2], config_table, loader_name, apm_table, vbe[4];
	struct framebuffer framebuffer;
};

static_assert(offsetof(struct mb1_info, mmap_length) == 44);
static_assert(offsetof(struct mb1_info, framebuffer) == 88);
static_assert(sizeof(struct framebuffer) == 22);

enum { MB1_CMDLINE = 1 << 2, MB1_MODULES = 1 << 3, MB1_MMAP = 1 << 6, MB1_FRAMEBUFFER = 1 << 12 };

struct mb1_module {
	uint32_t start, end, string, reserved;
};

static bool mb1_parse(uint64_t info)
{
	const struct mb1_info *i = boot_memory(info, sizeof(*i));
	const struct mb1_module *m;

	if (i == NULL)
		return false;
	if (i->flags & MB1_CMDLINE)
		boot_info.command_line = keep(boot_memory(i->cmdline, STRING_MAX), STRING_MAX);
	if (i->flags & MB1_MMAP)
		ranges(boot_memory(i->mmap_addr, i->mmap_length), i->mmap_length, 0);
	if (i->flags & MB1_FRAMEBUFFER)
		framebuffer(&i->framebuffer);
	/* One more than there is room for, so that this is said. */
	for (uint32_t n = 0; i->flags & MB1_MODULES && n < i->mods_count && n <= LOADER_MEMS; n++) {
		m = boot_memory(i->mods_addr + n * sizeof(*m), sizeof(*m));
		if (m == NULL)
			break;
		add(m->start, (uint64_t)m->end - m->start, HIP_MEM_MODULE,
		    kmem_image_phys(keep(boot_memory(m->string, STRING_MAX), STRING_MAX)));
	}
	return true;
}

/* Multiboot 2: tags, each with its head of eight bytes. */

static void mb2_cmdline(const void *tag, uint32_t size)
{
	boot_info.command_line = keep((const char *)tag + 8, size - 8);
}

static void mb2_module(const void *tag, uint32_t size)
{
	const uint32_t *word = tag;

	add(word[2], (uint64_t)word[3] - word[2], HIP_MEM_MODULE,
	    kmem_image_phys(keep((const char *)&word[4], size - 16)));
}

static void mb2_mmap(const void *tag, uint32_t size)
{
	const uint32_t *word = tag;

	ranges((const char *)&word[4], size - 16, word[2]);
}

static void mb2_framebuffer(const void *tag, uint32_t)
{
	framebuffer((const void *)((const char *)tag + 8));
}

static void mb2_efi(const void *tag, uint32_t)
{
	add(((const uint64_t *)tag)[1], 0, HIP_MEM_EFI, 0);
}

/* Either version; the newer one has more, and is kept. */
static void mb2_rsdp(const void *tag, uint32_t size)
{
	if (!boot_info.rsdp[RSDP_REVISION])
		__builtin_memcpy(boot_info.rsdp, (const char *)tag + 8,
				 size - 8 < RSDP_SIZE ? size - 8 : RSDP_SIZE);
}

static bool mb2_parse(uint64_t info)
{
	static const struct records tags = {
		.layout = {4, 4, 4, 8},
		/* Type, least length. */
		.known = {{1, 8, mb2_cmdline},
			  {3, 16, mb2_module},
			  {6, 16, mb2_mmap},
			  {8, 8 + sizeof(struct framebuffer), mb2_framebuffer},
			  {12, 16, mb2_efi},
			  {14, 8, mb2_rsdp},
			  {15, 8, mb2_rsdp}},
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
	return magic == MB1_MAGIC ? mb1_parse(info) : magic == MB2_MAGIC && mb2_parse(info);
}
