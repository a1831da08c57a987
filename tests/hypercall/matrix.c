/*
 * The list of all cases, and what several of them use.
 */
#include "matrix.h"

unsigned long local_ec(void)
{
	return make_handler(SEL_ROOT_PD, boot_cpu, NULL)->ec;
}

void use_up(unsigned long pd)
{
	uint64_t from = CRD(CRD_MEM, MEM_R, 0, page_number(page));
	enum status s = SUCCESS;

	for (unsigned long i = 0; i < MANY && s == SUCCESS; i++)
		s = give_at(pd, from, ITEM_DELEGATE, CRD(CRD_MEM, MEM_R, 0, 0x100000 + i * 512));
	NEED(s == OUT_OF_MEMORY);
}

const struct test matrix_tests[] = {
#define MATRIX(call, name) {"matrix." #call "." #name, call##__##name, 0},
#include "matrix.inc"
	{0},
};
