/*
 * The list of all cases, and what several of them use.
 */
#include "matrix.h"

unsigned long local_ec(void)
{
	return make_handler(SEL_ROOT_PD, boot_cpu, NULL)->ec;
}

const struct test matrix_tests[] = {
#define MATRIX(call, name) {"matrix." #call "." #name, call##__##name, 0},
#include "matrix.inc"
	{0},
};
