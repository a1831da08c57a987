/*
 * The ELF checker: a good file, every way of being bad, and random damage,
 * under which it must refuse or give segments inside of file and limits.
 */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <abi/crd.h>

#include "../../root/src/elf.h"

enum { LOW = 0x1000000, HIGH = 0x40000000, SIZE = 0x4000, STEPS = 200000 };

struct file {
	Elf64_Ehdr header;
	Elf64_Phdr segment[3];
	uint8_t rest[SIZE - sizeof(Elf64_Ehdr) - 3 * sizeof(Elf64_Phdr)];
};

static void make(struct file *f)
{
	memset(f, 0, sizeof(*f));
	memcpy(f->header.e_ident, ELFMAG, SELFMAG);
	f->header.e_ident[EI_CLASS] = ELFCLASS64;
	f->header.e_ident[EI_DATA] = ELFDATA2LSB;
	f->header.e_type = ET_EXEC;
	f->header.e_machine = EM_X86_64;
	f->header.e_phoff = sizeof(Elf64_Ehdr);
	f->header.e_phentsize = sizeof(Elf64_Phdr);
	f->header.e_phnum = 3;
	f->header.e_entry = LOW + 0x10;
	f->segment[0] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0x1000, LOW, 0, 0x800, 0x800, 0x1000};
	f->segment[1] = (Elf64_Phdr){PT_GNU_STACK, 0, 0, 0, 0, 0, 0, 0};
	f->segment[2] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 0x2000, LOW + 0x1000,
				     0,	      0x1000,	   0x3000, 0x1000};
}

static const char *parse(const struct file *f, struct elf *elf)
{
	return elf_parse(f, sizeof(*f), LOW, HIGH, elf);
}

static void good(void **state)
{
	struct file *f = *state;
	struct elf elf;

	make(f);
	assert_null(parse(f, &elf));
	assert_int_equal(elf.entry, LOW + 0x10);
	assert_int_equal(elf.segment_count, 2);
	assert_int_equal(elf.segments[0].rights, MEM_R | MEM_X);
	assert_int_equal(elf.segments[1].rights, MEM_R | MEM_W);
	assert_int_equal(elf.segments[1].address, LOW + 0x1000);
	assert_int_equal(elf.segments[1].size, 0x3000);
	assert_int_equal(elf.segments[1].file_size, 0x1000);
}

#define REFUSED(change)                          \
	do {                                     \
		make(f);                         \
		change;                          \
		assert_non_null(parse(f, &elf)); \
	} while (0)

static void bad(void **state)
{
	struct file *f = *state;
	struct elf elf;

	REFUSED(f->header.e_ident[0] = 'x');
	REFUSED(f->header.e_ident[EI_CLASS] = ELFCLASS32);
	REFUSED(f->header.e_machine = EM_386);
	REFUSED(f->header.e_type = ET_DYN);
	REFUSED(f->header.e_phoff = SIZE);
	REFUSED(f->header.e_phoff = ~0ul);
	REFUSED(f->header.e_phoff = ~7ul);
	REFUSED(f->header.e_phnum = 0xffff);
	REFUSED(f->header.e_phentsize = 1);
	REFUSED(f->header.e_entry = LOW - 1);
	REFUSED(f->header.e_entry = LOW + 0x800);
	REFUSED(f->header.e_entry = LOW + 0x1000);
	REFUSED(f->segment[0].p_offset = SIZE);
	REFUSED(f->segment[0].p_offset = ~0ul);
	REFUSED(f->segment[0].p_filesz = ~0ul);
	REFUSED(f->segment[0].p_filesz = 0x801);
	REFUSED(f->segment[0].p_vaddr = 0);
	REFUSED(f->segment[0].p_vaddr = LOW + 0x10000);
	REFUSED(f->segment[0].p_memsz = ~0ul);
	REFUSED(f->segment[0].p_memsz = 0x1001);
	REFUSED(f->segment[0].p_flags = PF_R | PF_W | PF_X);
	REFUSED(f->segment[0].p_flags = PF_R);
	REFUSED(f->segment[1].p_type = PT_INTERP);
	REFUSED(f->segment[1].p_type = PT_DYNAMIC);
	REFUSED(f->segment[2].p_vaddr = LOW + 0x800);
	REFUSED(f->segment[2].p_memsz = HIGH);
	REFUSED(f->header.e_phnum = 0);
}

static void too_small(void **state)
{
	struct file *f = *state;
	struct elf elf;

	make(f);
	for (size_t size = 0; size < 0x200; size++) {
		uint8_t *copy = malloc(size ? size : 1);

		memcpy(copy, f, size);
		assert_non_null(elf_parse(copy, size, LOW, HIGH, &elf));
		free(copy);
	}
}

static void check_segments(const struct elf *elf)
{
	uint64_t low = LOW;

	for (unsigned i = 0; i < elf->segment_count; i++) {
		const struct elf_segment *s = &elf->segments[i];

		assert_true(s->address >= low && s->address < HIGH);
		assert_true(s->size <= HIGH - s->address);
		assert_true(s->file_size <= s->size);
		assert_true(s->offset <= SIZE);
		assert_true(s->file_size <= SIZE - s->offset);
		assert_true((s->rights & (MEM_W | MEM_X)) != (MEM_W | MEM_X));
		low = s->address + s->size;
	}
}

static void damaged(void **state)
{
	struct file *f = *state;
	struct elf elf;

	srand(3);
	for (unsigned step = 0; step < STEPS; step++) {
		size_t span = sizeof(f->header) + sizeof(f->segment);

		make(f);
		for (int n = rand() % 4; n >= 0; n--)
			((uint8_t *)f)[(size_t)rand() % span] = (uint8_t)rand();
		if (!parse(f, &elf))
			check_segments(&elf);
	}
}

static int setup(void **state)
{
	*state = malloc(sizeof(struct file));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(good, setup, teardown),
		cmocka_unit_test_setup_teardown(bad, setup, teardown),
		cmocka_unit_test_setup_teardown(too_small, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
