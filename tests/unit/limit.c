/*
 * In every unit test: what it says is said at once, and should it hang, the signal
 * by which the time limit ends it (tests/run.py) has it say where.
 */
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void too_long(int number)
{
	(void)number;
	__sanitizer_print_stack_trace();
	_exit(1);
}

[[gnu::constructor]] static void start(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGALRM, too_long);
}
