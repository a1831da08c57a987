/*
 * The table of expected exceptions (msr.h): few entries, looked up rarely.
 */
#include "msr.h"

struct fixup {
	uint64_t rip, to;
};

extern const struct fixup extable_start[], extable_end[];

uint64_t extable_find(uint64_t rip)
{
	for (const struct fixup *f = extable_start; f < extable_end; f++)
		if (f->rip == rip)
			return f->to;
	return 0;
}
