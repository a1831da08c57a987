/*
 * Root's image: a good one, and thousands that were changed at random. What is
 * mapped must be in the file and in root's part of the address space; nothing is
 * read behind the file.
 */
#include "hv_fixture.h"

#include <stdlib.h>
#include <string.h>

#include <abi/hip.h>

#include "kernel.h"
#include "x86/boot.h"

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

/* What is read is in the file: there is nothing behind it. */
void *boot_memory(uint64_t phys, uint64_t length)
{
	static void *copy;

	assert_int_equal(phys, PHYS);
	assert_int_equal(length, size);
	free(copy);
	copy = malloc(size);
	memcpy(copy, &image, size);
	return copy;
}

static struct program_header loaded(uint32_t flags, uint64_t offset, uint64_t vaddr,
				    uint64_t length)
{
	return (struct program_header){
		.type = 1,
		.flags = flags,
		.offset = offset,
		.vaddr = vaddr,
		.filesz = length,
		.memsz = length,
		.align = 4096,
	};
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
	image.p[0] = loaded(5, 0x123, 0x400123, 0x1000);
	image.p[1] = (struct program_header){.type = 0x6474e551, .flags = 6};
	image.p[2] = (struct program_header){.type = 1, .flags = 4};
	image.p[3] = loaded(6, 0x2000, 0x500000, 0x1064);
	size = SIZE;
}

/* Pages that were mapped, the last load's. */
static struct {
	uint64_t phys, address;
	unsigned rights;
} page[6];
static unsigned pages;

static void map(uint64_t phys, uint64_t address, unsigned rights)
{
	assert_int_equal(phys & PAGE_MASK, 0);
	assert_int_equal(address & PAGE_MASK, 0);
	assert_true(phys - PHYS < size && address < ROOT_UTCB);
	assert_true((rights & ~7u) == 0);
	if (pages < ARRAY_SIZE(page)) {
		page[pages].phys = phys;
		page[pages].address = address;
		page[pages].rights = rights;
	}
	pages++;
}

/* It is accepted, and has its entry, or it is the end with this message. */
static bool load(uint64_t *entry, const char *message)
{
	jmp_buf end;

	pages = 0;
	panic_expected = &end;
	if (setjmp(end) == 0) {
		*entry = elf_load(PHYS, size, map);
		panic_expected = NULL;
		return true;
	}
	panic_expected = NULL;
	assert_non_null(strstr(panic_text, message));
	return false;
}

static void test_good(void **state)
{
	static const struct {
		uint64_t offset, address;
		unsigned rights;
	} expected[] = {
		{0, 0x400000, MEM_R | MEM_X},
		{0x1000, 0x401000, MEM_R | MEM_X},
		{0x2000, 0x500000, MEM_R | MEM_W},
		{0x3000, 0x501000, MEM_R | MEM_W},
	};
	uint64_t entry;

	(void)state;
	make_good();
	assert_true(load(&entry, ""));
	assert_int_equal(entry, 0x400123);
	assert_int_equal(pages, ARRAY_SIZE(expected));
	for (unsigned i = 0; i < pages; i++) {
		assert_int_equal(page[i].phys, PHYS + expected[i].offset);
		assert_int_equal(page[i].address, expected[i].address);
		assert_int_equal(page[i].rights, expected[i].rights);
	}
}

static void test_truncated(void **state)
{
	uint64_t entry;

	(void)state;
	make_good();
	for (size = 0; size < sizeof(image.h) + sizeof(image.p); size++)
		assert_false(load(&entry, "not a static ELF64 image"));
	assert_false(load(&entry, "cannot be mapped in place"));
	make_good();
	size--;
	assert_false(load(&entry, "cannot be mapped in place"));
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

static void try_image(unsigned *opened, unsigned *mapped)
{
	uint64_t entry;

	*opened += load(&entry, "root: ");
	assert_true(pages <= SIZE / sizeof(image.p[0]) * (SIZE / PAGE_SIZE + 2));
	*mapped += pages;
}

static void test_changed(void **state)
{
	static unsigned opened, mapped;

	(void)state;
	for (unsigned n = 0; n < STEPS; n++) {
		make_good();
		for (uint64_t i = rnd(4) + 1; i; i--)
			change();
		try_image(&opened, &mapped);
	}
	assert_true(opened > STEPS / 10 && opened < STEPS);
	assert_true(mapped > STEPS / 10);
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
