/*
 * ELF64 (System V ABI, AMD64 supplement): header and loadable segments.
 */
#include "elf.h"

#include <abi/crd.h>
#include <lib/string.h>

enum { PAGE = 4096 };

enum {
	CLASS_64 = 2,
	DATA_LSB = 1,
	ET_EXEC = 2,
	EM_X86_64 = 62,
	PT_LOAD = 1,
	PT_DYNAMIC = 2,
	PT_INTERP = 3,
	PF_X = 1,
	PF_W = 2,
	PF_R = 4,
};

struct header {
	uint8_t magic[4];
	uint8_t class, data, version, abi, pad[8];
	uint16_t type, machine;
	uint32_t version2;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct program_header {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

_Static_assert(sizeof(struct header) == 64, "ELF64");
_Static_assert(sizeof(struct program_header) == 56, "ELF64");

static const char *check_header(const struct header *h, size_t size)
{
	static const uint8_t magic[4] = {0x7f, 'E', 'L', 'F'};

	if (size < sizeof(*h) || memcmp(h->magic, magic, 4) != 0)
		return "not an ELF file";
	if (h->class != CLASS_64 || h->data != DATA_LSB || h->machine != EM_X86_64)
		return "not for x86-64";
	if (h->type != ET_EXEC)
		return "not a static executable (no PIE, please)";
	if (h->phentsize != sizeof(struct program_header) || h->phoff > size || h->phoff % 8 != 0 ||
	    h->phnum > (size - h->phoff) / sizeof(struct program_header))
		return "program headers outside of the file";
	return NULL;
}

static unsigned rights_of(uint32_t flags)
{
	return (flags & PF_R ? MEM_R : 0u) | (flags & PF_W ? MEM_W : 0u) |
	       (flags & PF_X ? MEM_X : 0u);
}

static uint64_t page_end(const struct elf_segment *s)
{
	return (s->address + s->size + PAGE - 1) & -(uint64_t)PAGE;
}

/* low: the end of the last page in use so far. */
static const char *add_segment(const struct program_header *p, size_t size, uint64_t low,
			       uint64_t high, struct elf *elf)
{
	struct elf_segment *s = &elf->segments[elf->segment_count];

	if (p->offset > size || p->filesz > size - p->offset || p->filesz > p->memsz)
		return "a segment outside of the file";
	if (p->vaddr < low || p->vaddr >= high || p->memsz > high - p->vaddr) {
		return "a segment outside of the image's addresses, "
		       "out of order, or on the page of another";
	}
	*s = (struct elf_segment){
		.address = p->vaddr,
		.size = p->memsz,
		.offset = p->offset,
		.file_size = p->filesz,
		.rights = rights_of(p->flags),
	};
	if ((s->rights & MEM_W) && (s->rights & MEM_X))
		return "a segment both writable and executable";
	elf->segment_count++;
	return NULL;
}

static const char *check_entry(const struct elf *elf)
{
	for (unsigned i = 0; i < elf->segment_count; i++) {
		const struct elf_segment *s = &elf->segments[i];

		if ((s->rights & MEM_X) && elf->entry >= s->address &&
		    elf->entry - s->address < s->size)
			return NULL;
	}
	return "the entry is in no executable segment";
}

const char *elf_parse(const void *file, size_t size, uint64_t low, uint64_t high, struct elf *elf)
{
	const struct header *h = file;
	const struct program_header *p;
	const char *error = check_header(h, size);

	if (error)
		return error;
	elf->entry = h->entry;
	elf->segment_count = 0;
	p = (const void *)((const uint8_t *)file + h->phoff);
	for (unsigned i = 0; i < h->phnum; i++, p++) {
		if (p->type == PT_INTERP || p->type == PT_DYNAMIC)
			return "dynamically linked";
		if (p->type != PT_LOAD || !p->memsz)
			continue;
		if (elf->segment_count == ELF_SEGMENTS)
			return "too many segments";
		error = add_segment(p, size, low, high, elf);
		if (error)
			return error;
		low = page_end(&elf->segments[elf->segment_count - 1]);
	}
	return check_entry(elf);
}
