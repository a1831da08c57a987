/*
 * Random calls. Half of the arguments make sense for the call they are made
 * with, so that calls get past their first check; the others are edges, or
 * anything.
 *
 * This runs in the attackers' PDs, where the program's text and constants are,
 * but not its data.
 */
#include "fuzz.h"

#include <abi/hip.h>

enum {
	FEW = 8,
	FIRST_SPARE = 6,
	CALLS_OF_HANDLER = 3,
	STATE_WORDS = 70,
	PRIORITY_MASK = 7, /* below all who must go on */
	QUANTUM_MASK = 0x3ff,
};

static uint64_t some_selector(struct attacker *a)
{
	uint64_t r = next_random(&a->state);

	return r >> 62 ? r % AT_END : AT_FREE + r % FEW;
}

/* Where most of what there is can be found. */
static uint64_t some_range(struct attacker *a)
{
	uint64_t r = next_random(&a->state);
	static const uint64_t page[] = {
		ARENA >> 12, UTCBS >> 12, TARGET >> 12, 0x1000, (USER_END >> 12) - 1,
	};

	switch (r >> 60 & 7) {
	case 0 ... 3:
		return CRD(CRD_OBJ, r & 31, r >> 5 & 3, (r >> 8) % AT_END);
	case 4 ... 5:
		return CRD(CRD_MEM, r & 31, r >> 5 & 3, page[(r >> 8) % 5] + (r >> 16) % FEW);
	case 6:
		return CRD(CRD_PIO, r & 31, r >> 5 & 15, r >> 16 & 0xffff);
	default:
		return CRD(r, r >> 8, r >> 16 & 31, r >> 24 & 0xffffff);
	}
}

/* Numbers at the edges, numbers that mean something, and any numbers. */
static uint64_t some_number(struct attacker *a)
{
	static const uint64_t edges[] = {
		EDGES,
		ARENA,
		UTCBS,
		TARGET,
	};
	uint64_t r = next_random(&a->state);

	switch (r >> 60) {
	case 0 ... 3:
		return edges[r % (sizeof(edges) / sizeof(*edges))];
	case 4 ... 7:
		return some_selector(a);
	case 8 ... 11:
		return some_range(a);
	default:
		return next_random(&a->state);
	}
}

static uint64_t some_item(struct attacker *a)
{
	uint64_t r = next_random(&a->state);

	return ITEM(r & 3, r & 0xffc & ~(uint64_t)ITEM_KERNEL, CRD_BASE(some_range(a)));
}

static void message(struct attacker *a)
{
	struct utcb *u = a->utcb;
	uint64_t r = next_random(&a->state);

	u->items = r & 15 ? UTCB_ITEMS(r >> 8 & 15, r >> 4 & 3) : some_number(a);
	u->translate = some_range(a);
	u->delegate = some_range(a);
	for (unsigned i = 0; i < 3; i++) {
		u->word[utcb_item_word(i)] = some_range(a);
		u->word[utcb_item_word(i) + 1] = some_item(a);
	}
	/* Numbers of MSRs, or a vCPU's state. */
	for (unsigned i = 0; i < (r & 0xf0000 ? 2 : STATE_WORDS); i++)
		u->word[i] = some_number(a);
	u->mtd = r & 0xf0000 ? u->mtd : next_random(&a->state);
}

static uint64_t some_flags(unsigned call, uint64_t r)
{
	switch (call) {
	case CALL_CALL:
	case CALL_CREATE_EC:
		return r & 1;
	case CALL_REVOKE:
		return r & 7;
	case CALL_MISC:
		return r & 1;
	case CALL_SM_CTRL:
		return r & 3;
	case CALL_PD_CTRL:
		return r & 2;
	case CALL_EC_CTRL:
		return r % 9;
	case CALL_SC_CTRL:
		return r & 3;
	case CALL_ASSIGN_GSI:
		return r & 7;
	default:
		return 0;
	}
}

/* Registers with which the call has a chance. */
static void likely_registers(struct attacker *a, unsigned call)
{
	uint64_t r = next_random(&a->state), n;

	switch (call) {
	case CALL_CREATE_PD:
		a->rsi = AT_SELF + (r & 1);
		a->rdx = some_range(a);
		a->rax = (r >> 8 & 15) << 32;
		break;
	case CALL_CREATE_EC:
		a->rsi = AT_SELF + (r & 1);
		/* At a spare frame, or at none. */
		n = r & 0x300 ? FIRST_SPARE + (r >> 10 & 1) : r >> 12 & 15;
		a->rdx = (UTCBS + n * PAGE_SIZE) | (r >> 16) % CPUS;
		a->rdx = r >> 20 & 7 ? a->rdx : a->rdx & 0xfff;
		a->rax = ARENA + n * PAGE_SIZE + PAGE_SIZE - FRAME_SIZE;
		a->r8 = (a->rdx & ~0xffful) ? AT_EVENTS + (a->rdx & 0xfff) * EVENTS_THREAD
					    : AT_VCPU_EVENTS + (a->rdx & 0xfff) * EVENTS_VCPU;
		break;
	case CALL_CREATE_SC:
		a->rsi = AT_SELF + (r & 1);
		a->rdx = some_selector(a);
		a->rax = QPD(1, r & QUANTUM_MASK);
		break;
	case CALL_CREATE_PT:
		a->rsi = AT_SELF + (r & 1);
		a->rdx = r & 2 ? AT_EC + (r >> 8) % FEW : some_selector(a);
		a->rax = r >> 32;
		a->r8 = (uint64_t)entry_handle;
		break;
	case CALL_CREATE_SM:
		a->rsi = AT_SELF + (r & 1);
		a->rdx = r >> 8 & 3;
		a->rax = r & 2 ? 0 : AT_SM + (r >> 16) % SMS;
		break;
	case CALL_REVOKE:
		a->rsi = some_range(a);
		a->rdx = AT_SELF + (r & 1);
		break;
	case CALL_MISC:
		a->rsi = some_range(a);
		a->rdx = AT_SELF + (r & 1);
		break;
	case CALL_PD_CTRL:
		a->rsi = AT_SELF + (r & 1);
		a->rdx = r >> 8 & 3;
		break;
	case CALL_EC_CTRL:
		/* A CPU, or whether to recall; or an MTD. */
		a->rsi = r & 3 ? r >> 2 & 1 : r >> 8;
		a->rdx = some_range(a);
		break;
	case CALL_ASSIGN_GSI:
		a->rsi = 0;
		a->rdx = r % CPUS;
		a->rax = r & 0x300 ? AT_SM + (r >> 16) % SMS : AT_FREE + (r >> 16) % FEW;
		break;
	default:
		a->rsi = some_selector(a);
		a->rdx = some_selector(a);
		break;
	}
}

static uint64_t likely_selector(struct attacker *a, unsigned call)
{
	uint64_t r = next_random(&a->state);

	switch (call) {
	case CALL_CALL:
		return (r & 64 ? AT_PT : AT_SERVICE) + r % CPUS;
	case CALL_CREATE_PD ... CALL_CREATE_SM:
		return AT_FREE + r % (AT_END - AT_FREE);
	case CALL_REVOKE:
		return r & 1 ? 0 : AT_SM + (r >> 8) % SMS;
	case CALL_MISC:
	case CALL_PD_CTRL:
	case CALL_ASSIGN_PCI:
		return AT_SELF + (r & 1);
	case CALL_SM_CTRL:
		return AT_SM + r % SMS;
	case CALL_EC_CTRL:
		return AT_EC + r % FEW;
	case CALL_PT_CTRL:
		return AT_PT + r % CPUS;
	case CALL_ASSIGN_GSI:
		return AT_SM + SMS;
	default:
		return some_selector(a);
	}
}

/* Calls without which more is left to be attacked come less often. */
static unsigned some_call(struct attacker *a)
{
	uint64_t r = next_random(&a->state);
	unsigned call = r & 15;

	if ((call == CALL_REVOKE || call == CALL_REPLY) && r >> 8 & 3)
		call = CALL_SM_CTRL;
	return call;
}

/* Nobody is to sleep for long, nor to be more urgent than who watches. */
static void tame(struct attacker *a)
{
	uint64_t deadline;

	switch (a->rdi & 15) {
	case CALL_SM_CTRL:
		__asm__ volatile("rdtsc" : "=a"(a->rdx), "=d"(a->rsi));
		deadline = (a->rsi << 32 | a->rdx) + a->nap;
		a->rsi = deadline >> 32;
		a->rdx = deadline & 0xffffffff;
		break;
	case CALL_CREATE_SC:
		a->rax = QPD((a->rax & PRIORITY_MASK), QPD_QUANTUM(a->rax) & QUANTUM_MASK);
		break;
	case CALL_REVOKE:
		if (!a->wild && CRD_TYPE(a->rsi) == CRD_MEM)
			a->rsi = CRD(CRD_MEM, RIGHTS_ALL, 4, TARGET >> 12);
		break;
	}
}

static void one_call(struct attacker *a)
{
	unsigned call = some_call(a);
	uint64_t r = next_random(&a->state);
	uint64_t selector = r & 7 ? likely_selector(a, call) : some_number(a);
	uint64_t flags = r & 0x70 ? some_flags(call, r >> 8) : r >> 8 & 15;
	enum status status;

	a->rdi = CALL_ID(call, flags, selector);
	a->rsi = some_number(a);
	a->rdx = some_number(a);
	a->rax = some_number(a);
	a->r8 = some_number(a);
	if (r & 0x30000)
		likely_registers(a, call);
	tame(a);
	message(a);
	a->calls++;
	status = syscall_5(a->rdi, &(struct syscall){a->rsi, a->rdx, a->rax, a->r8});
	if ((unsigned)status < STATUSES)
		a->seen[call][status]++;
}

_Noreturn void attack(struct attacker *a)
{
	while (a->calls < a->limit)
		one_call(a);
	a->done = 1;
	for (;;)
		__asm__ volatile("int3");
}

void attack_handle(struct attacker *a)
{
	for (unsigned i = 0; i < CALLS_OF_HANDLER && a->calls < a->limit; i++)
		one_call(a);
}
