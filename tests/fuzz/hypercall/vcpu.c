#include "vcpu.h"

#include <abi/hip.h>
#include <lib/info.h>
#include <lib/string.h>

#include "../../hypercall/reset.h"
#include "fuzz.h"

enum {
	EXITS = 300, /* of a CPU in a round */
	EFER_SVME = 1 << 12,
	FIRST = 1, /* words of the state, from rip on */
	LAST = 70,
};

static volatile uint64_t exits[CPUS], all_exits;
static uint64_t random_state[CPUS];

void vcpu_round(uint64_t seed)
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		random_state[cpu] = (seed ^ 0x1234567890abcdef) + cpu * 2 + 1;
		exits[cpu] = 0;
	}
}

uint64_t vcpu_exits(void)
{
	return all_exits;
}

static void reset(struct utcb *u)
{
	reset_state(u);
	u->cs.base = ARENA;
	u->efer = program_info->features & HIP_SVM ? EFER_SVME : 0;
	u->mtd = VCPU_MTD;
}

static void mutate(struct utcb *u, uint64_t *state)
{
	static const uint64_t edges[] = {
		0,
		1,
		2,
		0xff,
		0xffff,
		1ul << 31,
		1ul << 32,
		1ul << 47,
		1ul << 63,
		~0ul,
		0x80000021,
		ARENA,
		LAYOUT_IMAGE,
		EFER_SVME,
		0x60000010,
		0x800003ff,
		0xfee00000,
		0xffff800000000000,
	};
	uint64_t r = next_random(state);
	uint64_t *word = &u->word[FIRST + r % (LAST - FIRST)];

	switch (r >> 62) {
	case 0:
		*word = edges[(r >> 8) % (sizeof(edges) / sizeof(*edges))];
		break;
	case 1:
		*word = next_random(state);
		break;
	default:
		*word ^= 1ul << (r >> 8 & 63);
		break;
	}
}

/* The state of before, a little different; VMRUN is intercepted mostly. */
unsigned long vcpu_event(struct portal *p, struct utcb *u)
{
	unsigned cpu = thread_self()->cpu % CPUS;
	uint64_t *state = &random_state[cpu];
	uint64_t r = next_random(state);

	u->items = 0;
	all_exits++;
	if (p->number == EVENT_VCPU_STARTUP || (r & 15) == 0)
		reset(u);
	for (unsigned i = 0; i < (r >> 4 & 7); i++)
		mutate(u, state);
	u->ctrl[1] |= r & 0x7f000000 ? INTERCEPT_VMRUN : 0;
	u->efer |= (r & 0x700000000) && program_info->features & HIP_SVM ? EFER_SVME : 0;
	u->mtd = r >> 40 & 3 ? VCPU_MTD : (r >> 32 & VCPU_MTD) | MTD_CR | MTD_EFER;
	if (exits[cpu]++ > EXITS) {
		u->mtd = 0;
		return SEL_NEVER;
	}
	return 0;
}
