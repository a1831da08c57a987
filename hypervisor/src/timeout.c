/*
 * A leftist heap: of two subtrees the left has the larger rank, the length of
 * its right spine; so the right spine that merging walks is short.
 */
#include "timeout.h"

#include "sc.h"
#include "x86/apic.h"
#include "x86/cpu.h"
#include "x86/insn.h"

static uint32_t rank(const struct timeout *t)
{
	return t ? t->rank : 0;
}

/* Restore the order of the subtrees; true if the rank changed. */
static bool settle(struct timeout *t)
{
	struct timeout *left = t->left;
	uint32_t old = t->rank;

	if (rank(left) < rank(t->right)) {
		t->left = t->right;
		t->right = left;
	}
	t->rank = rank(t->right) + 1;
	return t->rank != old;
}

/* Recursion is as deep as two right spines: the logarithm of the number. */
static struct timeout *merge(struct timeout *a, struct timeout *b)
{
	if (!a || !b)
		return a ? a : b;
	if (b->deadline < a->deadline)
		return merge(b, a);
	a->right = merge(a->right, b);
	a->right->parent = a;
	settle(a);
	return a;
}

void timeout_add(struct cpu *cpu, struct timeout *t)
{
	t->left = t->right = NULL;
	t->rank = 1;
	cpu->timeouts = merge(cpu->timeouts, t);
	cpu->timeouts->parent = NULL;
	timeout_arm(cpu, t->deadline);
}

void timeout_cancel(struct cpu *cpu, struct timeout *t)
{
	struct timeout *below, *up = t->parent;

	if (t->rank == 0)
		return;
	below = merge(t->left, t->right);
	if (below)
		below->parent = up;
	if (!up)
		cpu->timeouts = below;
	else if (up->left == t)
		up->left = below;
	else
		up->right = below;
	t->rank = 0;
	while (up && settle(up))
		up = up->parent;
}

void timeout_arm(struct cpu *cpu, uint64_t deadline)
{
	if (deadline < cpu->timer_armed) {
		cpu->timer_armed = deadline;
		timer_set(deadline);
	}
}

void timeout_run(struct cpu *cpu)
{
	uint64_t now = rdtsc();

	cpu->timer_armed = ~0ul;
	for (unsigned n = 0; n < AT_ONCE && cpu->timeouts && cpu->timeouts->deadline <= now; n++) {
		struct timeout *t = cpu->timeouts;

		timeout_cancel(cpu, t);
		t->fire(t);
	}
	if (cpu->timeouts)
		timeout_arm(cpu, cpu->timeouts->deadline);
	sc_tick(cpu, now);
}
