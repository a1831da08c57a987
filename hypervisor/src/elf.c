/*
 * ELF headers, read through the one-page window on physical memory.
 */
#include "elf.h"

#include <abi/crd.h>
#include <abi/hip.h>

#include "panic.h"
#include "x86/kmem.h"

/* System V ABI, "Object files"; AMD64 supplement. */
struct header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct program_header {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

static_assert(sizeof(struct header) == 64);
static_assert(sizeof(struct program_header) == 56);

enum {
	ET_EXEC = 2,
	EM_X86_64 = 62,
	PT_LOAD = 1,
	PF_X = 1,
	PF_W = 2,
	PF_R = 4,
};

/* Within one page. */
static const void *peek(const struct elf *elf, uint64_t offset)
{
	uint64_t phys = elf->phys + offset;

	return (const char *)kmem_peek(phys & ~PAGE_MASK) + (phys & PAGE_MASK);
}

bool elf_open(struct elf *elf, uint64_t phys, uint64_t size)
{
	static const uint8_t ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
	uint64_t visible = size < PAGE_SIZE ? size : PAGE_SIZE;
	const struct header *h;

	*elf = (struct elf){.phys = phys, .size = size};
	if (size < sizeof(*h))
		return false;
	h = peek(elf, 0);
	if (__builtin_memcmp(h->ident, ident, sizeof(ident)) != 0 || h->type != ET_EXEC ||
	    h->machine != EM_X86_64 || h->phentsize != sizeof(struct program_header) ||
	    h->phoff > visible || h->phoff % 8 ||
	    h->phnum * sizeof(struct program_header) > visible - h->phoff)
		return false;
	elf->entry = h->entry;
	elf->headers = h->phoff;
	elf->count = h->phnum;
	return true;
}

static void check(const struct elf *elf, const struct program_header *h)
{
	if (h->filesz != h->memsz || h->offset > elf->size || h->filesz > elf->size - h->offset ||
	    h->vaddr >= ROOT_UTCB || h->memsz > ROOT_UTCB - h->vaddr ||
	    (h->vaddr ^ h->offset) & PAGE_MASK)
		panic("root: segment at %lx cannot be mapped in place", h->vaddr);
}

bool elf_segment(struct elf *elf, unsigned i, struct elf_segment *s)
{
	unsigned found = 0;

	for (unsigned n = 0; n < elf->count; n++) {
		struct program_header h = *(const struct program_header *)peek(
			elf, elf->headers + n * sizeof(h));
		uint64_t skew = h.vaddr & PAGE_MASK;

		if (h.type != PT_LOAD || !h.memsz || found++ != i)
			continue;
		check(elf, &h);
		*s = (struct elf_segment){
			.offset = h.offset - skew,
			.address = h.vaddr - skew,
			.size = h.memsz + skew,
			.rights = (h.flags & PF_R ? MEM_R : 0u) | (h.flags & PF_W ? MEM_W : 0u) |
				  (h.flags & PF_X ? MEM_X : 0u),
		};
		return true;
	}
	return false;
}
