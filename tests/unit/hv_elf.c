/*
 * Root's image: a good one, and thousands that were changed at random. What is
 * accepted must be in the file and in root's part of the address space; the
 * window on the file shows one page at a time, and nothing behind it.
 */
#define _GNU_SOURCE

#include "hv_fixture.h"

#include <string.h>
#include <sys/mman.h>

#include <abi/hip.h>

#include "elf.h"
#include "x86/kmem.h"

enum { PHYS = 0x200000, SIZE = 3 * 4096 + 100, STEPS = 200000 };

/* System V ABI */
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

enum { HEADERS = 4 };

static struct image {
	struct header h;
	struct program_header p[HEADERS];
	uint8_t rest[SIZE - sizeof(struct header) - HEADERS * sizeof(struct program_header)];
} __attribute__((packed, aligned(8))) image;

static uint64_t size; /* of the file now */

/* Behind the page nothing is mapped; outside of the file it is noise. */
const void *kmem_peek(uint64_t phys)
{
	static char *window;
	uint64_t offset = (phys & ~PAGE_MASK) - PHYS;

	if (!window) {
		window = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_int_equal(mprotect(window + PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
	}
	memset(window, 0x55, PAGE_SIZE);
	if (offset < size) {
		memcpy(window, (const char *)&image + offset,
		       size - offset < PAGE_SIZE ? size - offset : PAGE_SIZE);
	}
	return window + (phys & PAGE_MASK);
}

static void make_good(void)
{
	memset(&image, 0, sizeof(image));
	image.h = (struct header){
		.ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
		.type = 2,
		.machine = 62,
		.version = 1,
		.entry = 0x400123,
		.phoff = sizeof(image.h),
		.ehsize = sizeof(image.h),
		.phentsize = sizeof(image.p[0]),
		.phnum = HEADERS,
	};
	image.p[0] = (struct program_header){
		.type = 1,
		.flags = 5,
		.offset = 0x123,
		.vaddr = 0x400123,
		.filesz = 0x1000,
		.memsz = 0x1000,
		.align = 4096,
	};
	image.p[1] = (struct program_header){.type = 0x6474e551, .flags = 6};
	image.p[2] = (struct program_header){.type = 1, .flags = 4};
	image.p[3] = (struct program_header){
		.type = 1,
		.flags = 6,
		.offset = 0x2000,
		.vaddr = 0x500000,
		.filesz = 0x1064,
		.memsz = 0x1064,
		.align = 4096,
	};
	size = SIZE;
}

static void test_good(void **state)
{
	struct elf_segment s;
	struct elf elf;

	(void)state;
	make_good();
	assert_true(elf_open(&elf, PHYS, size));
	assert_int_equal(elf.entry, 0x400123);
	assert_true(elf_segment(&elf, 0, &s));
	assert_int_equal(s.offset, 0);
	assert_int_equal(s.address, 0x400000);
	assert_int_equal(s.size, 0x1123);
	assert_int_equal(s.rights, MEM_R | MEM_X);
	assert_true(elf_segment(&elf, 1, &s));
	assert_int_equal(s.offset, 0x2000);
	assert_int_equal(s.size, 0x1064);
	assert_int_equal(s.rights, MEM_R | MEM_W);
	assert_false(elf_segment(&elf, 2, &s));
}

static void test_truncated(void **state)
{
	struct elf elf;

	(void)state;
	make_good();
	for (size = 0; size < sizeof(image.h) + sizeof(image.p); size++)
		assert_false(elf_open(&elf, PHYS, size));
	assert_true(elf_open(&elf, PHYS, size));
}

static void change(void)
{
	static const uint64_t numbers[] = {
		0,    1,	~0ul,	   1ul << 63, SIZE,	      4096,
		4095, USER_END, ROOT_UTCB, 0xffff,    0x7fffffffffff, -4096ul,
	};
	char *p = (char *)&image;
	uint64_t n = numbers[rnd(ARRAY_SIZE(numbers))] + rnd(3) - 1;
	size_t at = rnd(sizeof(image.h) + sizeof(image.p) - 8);

	switch (rnd(4)) {
	case 0:
		p[at] = (char)rnd(256);
		break;
	case 1:
		memcpy(p + at / 8 * 8, &n, 8);
		break;
	case 2:
		memcpy(p + at / 2 * 2, &n, 2);
		break;
	case 3:
		size = rnd(SIZE + 1);
		break;
	}
}

static void check_segment(const struct elf_segment *s)
{
	assert_int_equal(s->offset & PAGE_MASK, 0);
	assert_int_equal(s->address & PAGE_MASK, 0);
	assert_true(s->size > 0);
	assert_true(s->offset <= size && s->size <= size - s->offset);
	assert_true(s->address < ROOT_UTCB && s->size <= ROOT_UTCB - s->address);
	assert_true((s->rights & ~7u) == 0);
}

/* It is accepted, or not, or it is the end with a message. */
static void try_image(unsigned *opened, unsigned *segments)
{
	struct elf_segment s;
	struct elf elf;
	jmp_buf end;

	panic_expected = &end;
	if (setjmp(end) == 0 && elf_open(&elf, PHYS, size)) {
		++*opened;
		for (unsigned i = 0; elf_segment(&elf, i, &s); i++) {
			assert_true(i < 73); /* as many as a page holds */
			check_segment(&s);
			++*segments;
		}
	}
	panic_expected = NULL;
}

static void test_changed(void **state)
{
	static unsigned opened, segments;

	(void)state;
	for (unsigned n = 0; n < STEPS; n++) {
		make_good();
		for (uint64_t i = rnd(4) + 1; i; i--)
			change();
		try_image(&opened, &segments);
	}
	assert_true(opened > STEPS / 10 && opened < STEPS);
	assert_true(segments > STEPS / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_changed),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
