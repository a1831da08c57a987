/*
 * The cases of misc and revoke.
 */
#include "matrix.h"

/* misc */

CASE(misc_lookup, SUCCESS)
{
	uint64_t crd = CRD(CRD_OBJ, 0, 0, make_sm(0)), none = ~0ul;

	EQUAL(lookup(&crd), SUCCESS);
	EQUAL(CRD_RIGHTS(crd), RIGHTS_ALL);
	EQUAL(lookup(&none), SUCCESS);
	EQUAL(none, 0);
}

CASE(misc_delegate, SUCCESS)
{
	EQUAL(give(make_empty_pd(SMALL), CRD(CRD_OBJ, RIGHTS_ALL, 0, make_sm(0))), SUCCESS);
}

CASE(misc_delegate, MISC_LOOKUP)
{
	misc_lookup__SUCCESS();
}

CASE(misc_delegate, MISC_DELEGATE)
{
	misc_delegate__SUCCESS();
	set_item(0, 0);
	NO_RIGHT(SEL_ROOT_PD, delegate(o, 0, SEL_ROOT_PD));
	NO_RIGHT(SEL_ROOT_PD, delegate(SEL_ROOT_PD, 0, o));
}

CASE(misc_delegate, MISC_SUSPEND)
{
	EQUAL(suspend(sel(), 5, 5), BAD_CAPABILITY);
}

CASE(misc_delegate, BAD_PARAMETER)
{
	for (unsigned op = MISC_SUSPEND + 1; op < 16; op++) {
		EQUAL(syscall_3(CALL_ID(CALL_MISC, op, SEL_ROOT_PD), 0, SEL_ROOT_PD),
		      BAD_PARAMETER);
	}
}

CASE(misc_delegate, BAD_CAPABILITY)
{
	set_item(0, 0);
	NO_CAPABILITY(SEL_ROOT_EC, delegate(o, 0, SEL_ROOT_PD));
	NO_CAPABILITY(SEL_ROOT_EC, delegate(SEL_ROOT_PD, 0, o));
}

CASE(misc_delegate, OUT_OF_MEMORY)
{
	unsigned long pd = make_empty_pd(SMALL);

	use_up_tables(pd);
	EQUAL(give(pd, CRD(CRD_MEM, MEM_R, 0, page_number(page))), OUT_OF_MEMORY);
}

/* misc suspend: suspend.c has the rest */

CASE(misc_suspend, SUCCESS)
{
	suspend_twice();
}

/* No such type, with which machines do nothing. */
static enum status stay_awake(void)
{
	return suspend(SEL_SUSPEND, 7, 7);
}

CASE(misc_suspend, BAD_DEVICE)
{
	if (stay_awake() == BAD_FEATURE)
		test_skip("no ACPI sleep");
	EQUAL(stay_awake(), BAD_DEVICE);
}

CASE(misc_suspend, BAD_FEATURE)
{
	if (stay_awake() != BAD_FEATURE)
		test_skip("there is ACPI sleep");
}

enum { ROUNDS = 30 };

static volatile unsigned at_round[2];

/* Together with the other one, until one of them comes too late. */
static void suspend_together(struct frame *f)
{
	unsigned me = f->cpu == boot_cpu, i = 0;

	while (i++ < ROUNDS && !f->value[1]) {
		at_round[me] = i;
		while (at_round[!me] < i) {
		}
		f->value[2] = stay_awake();
		f->value[1] = f->value[2] == TIMEOUT;
		CHECK(f->value[1] || f->value[2] == BAD_DEVICE);
	}
	at_round[me] = ROUNDS;
	f->value[0] = 1;
}

CASE(misc_suspend, TIMEOUT)
{
	struct frame *t[2];

	if (cpus < 2 || stay_awake() == BAD_FEATURE)
		test_skip("one CPU, or no ACPI sleep");
	at_round[0] = at_round[1] = 0;
	for (unsigned i = 0; i < 2; i++)
		t[i] = make_thread(SEL_ROOT_PD, i ? boot_cpu : other_cpu(), 2, suspend_together, 0);
	for (unsigned i = 0; i < 2; i++)
		while (!t[i]->value[0])
			sleep_us(1000);
	if (!t[0]->value[1] && !t[1]->value[1])
		test_skip("they did not meet");
}

CASE(misc_suspend, BAD_CAPABILITY)
{
	unsigned long few = with_rights(SEL_SUSPEND, SM_RIGHT_UP);

	EQUAL(suspend(SEL_MSR, 7, 7), BAD_CAPABILITY);
	EQUAL(suspend(make_sm(0), 7, 7), BAD_CAPABILITY);
	NO_CAPABILITY(SEL_ROOT_PD, suspend(o, 7, 7));
	CHECK(suspend(few, 7, 7) != BAD_CAPABILITY);
}

/* revoke */

CASE(revoke, SUCCESS)
{
	EQUAL(revoke(CRD(CRD_OBJ, RIGHTS_ALL, 0, make_sm(0))), SUCCESS);
	EQUAL(revoke(0), SUCCESS);
	EQUAL(revoke(~0ul), SUCCESS);
}

static enum status revoke_signal(unsigned long sm)
{
	return syscall_3(CALL_ID(CALL_REVOKE, 0, sm), CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_TEST), 0);
}

CASE(revoke, BAD_CAPABILITY)
{
	NO_CAPABILITY(SEL_ROOT_EC, revoke_remote(o, 0));
	NO_CAPABILITY(SEL_ROOT_EC, revoke_signal(o));
}

/* The semaphore counts one. */
CASE(revoke, SM_RIGHT_UP)
{
	unsigned long sm = make_sm(0);
	unsigned long up = with_rights(sm, SM_RIGHT_UP);

	EQUAL(revoke_signal(with_rights(sm, RIGHTS_ALL & ~SM_RIGHT_UP)), BAD_CAPABILITY);
	EQUAL(sm_down(sm, NOW), TIMEOUT);
	EQUAL(syscall_3(CALL_ID(CALL_REVOKE, 0, up), CRD(CRD_OBJ, RIGHTS_ALL, 0, up), 0), SUCCESS);
	EQUAL(sm_down(sm, in_us(LONG_US)), SUCCESS);
}

CASE(revoke, FLAG_REVOKE_SELF)
{
	unsigned long sm = make_sm(0), other = with_rights(sm, RIGHTS_ALL);

	EQUAL(revoke(CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)), SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, other)), 0);
	CHECK(look(CRD(CRD_OBJ, 0, 0, sm)));
	EQUAL(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)), SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, sm)), 0);
}

CASE(revoke, FLAG_REVOKE_REMOTE)
{
	unsigned long pd = make_pd();
	struct frame *s = make_servant(pd);
	uint64_t crd = CRD(CRD_OBJ, RIGHTS_ALL, 0, make_sm(0));

	SETUP(give(pd, crd));
	CHECK(ask(s, OP_LOOKUP, crd, 0));
	NO_RIGHT(pd, revoke_remote(o, 0));
	EQUAL(revoke_remote(pd, crd), SUCCESS);
	EQUAL(ask(s, OP_LOOKUP, crd, 0), 0);
	CHECK(look(crd));
}

/* What was derived stays, though its source goes. */
CASE(revoke, FLAG_REVOKE_KEEP)
{
	unsigned long sm = make_sm(0), second = with_rights(sm, RIGHTS_ALL),
		      third = with_rights(second, RIGHTS_ALL);

	EQUAL(syscall_3(CALL_ID(CALL_REVOKE, FLAG_REVOKE_KEEP | FLAG_REVOKE_SELF, 0),
			CRD(CRD_OBJ, RIGHTS_ALL, 0, second), 0),
	      SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, second)), 0);
	CHECK(look(CRD(CRD_OBJ, 0, 0, third)));
	EQUAL(revoke(CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)), SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, third)), 0);
}
