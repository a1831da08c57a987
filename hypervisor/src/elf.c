/*
 * Root's image. System V ABI, "Object files"; AMD64 supplement.
 */
#include <abi/crd.h>
#include <abi/hip.h>

#include "kernel.h"
#include "log.h"
#include "x86/boot.h"

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

enum { ET_EXEC = 2, EM_X86_64 = 62, PT_LOAD = 1, PF_X = 1, PF_W = 2, PF_R = 4 };

uint64_t elf_load(uint64_t phys, uint64_t size, map_page *map)
{
	static const uint8_t ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
	const struct header *h = boot_memory(phys, size);

	if (!h || phys & PAGE_MASK || size < sizeof(*h) ||
	    __builtin_memcmp(h->ident, ident, sizeof(ident)) || h->type != ET_EXEC ||
	    h->machine != EM_X86_64 || h->phentsize != sizeof(struct program_header) ||
	    h->phoff > size || h->phoff % 8 ||
	    h->phnum * sizeof(struct program_header) > size - h->phoff)
		panic("root: not a static ELF64 image");

	const struct program_header *p = (const void *)((const char *)h + h->phoff);

	for (const struct program_header *end = p + h->phnum; p < end; p++) {
		unsigned rights = (p->flags & PF_R ? MEM_R : 0u) | (p->flags & PF_W ? MEM_W : 0u) |
				  (p->flags & PF_X ? MEM_X : 0u);

		if (p->type != PT_LOAD || !p->memsz)
			continue;
		if (p->filesz != p->memsz || p->offset > size || p->filesz > size - p->offset ||
		    p->vaddr >= ROOT_UTCB || p->memsz > ROOT_UTCB - p->vaddr ||
		    (p->vaddr ^ p->offset) & PAGE_MASK)
			panic("root: segment at %lx cannot be mapped in place", p->vaddr);
		for (uint64_t at = p->vaddr & ~PAGE_MASK; at < p->vaddr + p->memsz; at += PAGE_SIZE)
			map(phys + p->offset - p->vaddr + at, at, rights);
	}
	return h->entry;
}
