/*
 * The cases of the five create calls.
 */
#include "matrix.h"

static void nothing(struct frame *f)
{
	(void)f;
}

static unsigned long global_ec(void)
{
	return make_idle_thread(SEL_ROOT_PD, boot_cpu, nothing, 0,
				common_events(SEL_ROOT_PD, boot_cpu))
		->ec;
}

/* The five create calls: what they have in common. */

typedef enum status create(unsigned long at, unsigned long owner);

static unsigned long bound_ec; /* for SCs and portals */

static enum status a_pd(unsigned long at, unsigned long owner)
{
	return create_pd(at, owner, 0, 4);
}

static enum status an_ec(unsigned long at, unsigned long owner)
{
	return create_ec(at, owner, EC_LOCAL, free_pages(0), boot_cpu, 0, 0);
}

static enum status an_sc(unsigned long at, unsigned long owner)
{
	return create_sc(at, owner, bound_ec, QPD(1, 1000));
}

static enum status a_pt(unsigned long at, unsigned long owner)
{
	return create_pt(at, owner, bound_ec, 0, 0x1000);
}

static enum status an_sm(unsigned long at, unsigned long owner)
{
	return create_sm(at, owner, 0);
}

static void creates(create *make)
{
	unsigned long at = sel();

	EQUAL(make(at, SEL_ROOT_PD), SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, at)), CRD(CRD_OBJ, RIGHTS_ALL, 0, at));
}

/* The owner, and the place. */
static void create_refused(create *make)
{
	unsigned long at = sel();

	NO_CAPABILITY(SEL_ROOT_EC, make(at, o));
	EQUAL(look(CRD(CRD_OBJ, 0, 0, at)), 0);
	EQUAL(make(SEL_ROOT_PD, SEL_ROOT_PD), BAD_CAPABILITY);
	EQUAL(make(hip->selectors, SEL_ROOT_PD), BAD_CAPABILITY);
}

static void create_right(create *make, unsigned right)
{
	RIGHT(SEL_ROOT_PD, right, make(sel(), o));
}

/* The owner has no memory for it. */
static void create_no_memory(create *make)
{
	unsigned long pd = make_empty_pd(SMALL);
	enum status s = SUCCESS;

	for (unsigned long i = 0; i < MANY && s == SUCCESS; i++)
		s = make(SEL_MANY + i, pd);
	EQUAL(s, OUT_OF_MEMORY);
}

/* create_pd */

CASE(create_pd, SUCCESS)
{
	creates(a_pd);
}

CASE(create_pd, BAD_CAPABILITY)
{
	create_refused(a_pd);
}

static enum status empty_pd(unsigned long at, unsigned long owner)
{
	return create_pd(at, owner, 0, 0);
}

CASE(create_pd, OUT_OF_MEMORY)
{
	create_no_memory(empty_pd);
}

CASE(create_pd, PD_CREATE_PD)
{
	create_right(a_pd, PD_CREATE_PD);
}

/* More quota than the owner has. */
CASE(create_pd, BAD_PARAMETER)
{
	EQUAL(create_pd(sel(), SEL_ROOT_PD, 0, ~0u), BAD_PARAMETER);
}

/* create_ec */

CASE(create_ec, SUCCESS)
{
	creates(an_ec);
}

CASE(create_ec, BAD_CAPABILITY)
{
	create_refused(an_ec);
}

CASE(create_ec, OUT_OF_MEMORY)
{
	create_no_memory(an_ec);
}

CASE(create_ec, PD_CREATE_EC)
{
	create_right(an_ec, PD_CREATE_EC);
}

/* It, and no other, can have an SC. */
CASE(create_ec, FLAG_EC_GLOBAL)
{
	EQUAL(create_sc(sel(), SEL_ROOT_PD, local_ec(), QPD(1, 1000)), BAD_CAPABILITY);
	EQUAL(create_sc(sel(), SEL_ROOT_PD, global_ec(), QPD(1, 1000)), SUCCESS);
}

/* The UTCB's address. */
CASE(create_ec, BAD_PARAMETER)
{
	const unsigned long bad[] = {USER_END, ~0ul & ~(PAGE_SIZE - 1), ROOT_UTCB, 0};

	for (unsigned i = 0; i < 4; i++) {
		EQUAL(create_ec(sel(), SEL_ROOT_PD, EC_LOCAL, bad[i], boot_cpu, 0, 0),
		      BAD_PARAMETER);
	}
}

/* Beside the EC, with the right and without; oom.c has the rest. */
CASE(create_ec, PT_CALL)
{
	unsigned long pt = make_portal(make_handler(SEL_ROOT_PD, boot_cpu, echo), 0, 0);

	for (unsigned rights = PT_CONTROL; rights <= PT_CALL; rights++) {
		unsigned long at = sel_range(1);

		SETUP(give_at(SEL_ROOT_PD, CRD(CRD_OBJ, rights, 0, pt), ITEM_DELEGATE,
			      CRD(CRD_OBJ, rights, 0, at + 1)));
		EQUAL(create_ec(at, SEL_ROOT_PD, EC_LOCAL, free_pages(0), boot_cpu, 0, 0), SUCCESS);
	}
}

CASE(create_ec, BAD_CPU)
{
	EQUAL(create_ec(sel(), SEL_ROOT_PD, EC_LOCAL, free_pages(0), 0xfff, 0, 0), BAD_CPU);
}

CASE(create_ec, BAD_FEATURE)
{
	if (hip->features & (HIP_VMX | HIP_SVM))
		test_skip("there are vCPUs");
	EQUAL(create_vcpu(sel(), SEL_ROOT_PD, boot_cpu, 0), BAD_FEATURE);
}

/* create_sc */

CASE(create_sc, SUCCESS)
{
	bound_ec = global_ec();
	creates(an_sc);
}

/* Also: a local EC, one that has an SC, a dead one. */
CASE(create_sc, BAD_CAPABILITY)
{
	bound_ec = global_ec();
	create_refused(an_sc);
	NO_CAPABILITY(SEL_ROOT_PD, create_sc(sel(), SEL_ROOT_PD, o, QPD(1, 1000)));
	bound_ec = local_ec();
	EQUAL(an_sc(sel(), SEL_ROOT_PD), BAD_CAPABILITY);
	bound_ec = SEL_ROOT_EC;
	EQUAL(an_sc(sel(), SEL_ROOT_PD), BAD_CAPABILITY);
	/* It has no portal for its first event. */
	bound_ec = make_idle_thread(SEL_ROOT_PD, boot_cpu, nothing, 0, sel_range(5))->ec;
	EQUAL(an_sc(sel(), SEL_ROOT_PD), SUCCESS);
	quiesce();
	EQUAL(an_sc(sel(), SEL_ROOT_PD), BAD_CAPABILITY);
}

CASE(create_sc, OUT_OF_MEMORY)
{
	unsigned long pd = make_empty_pd(SMALL);
	enum status s;

	/* It takes few slots for all that there is, to be used up by these. */
	use_up_tables(pd);
	for (unsigned i = 0; i < MANY && an_sm(SEL_MANY + i, pd) == SUCCESS; i++) {
	}
	bound_ec = global_ec();
	s = an_sc(sel(), pd);
	EQUAL(s, OUT_OF_MEMORY);
}

CASE(create_sc, PD_CREATE_SC)
{
	bound_ec = global_ec();
	create_right(an_sc, PD_CREATE_SC);
}

CASE(create_sc, EC_BIND_SC)
{
	unsigned long ec = global_ec();

	RIGHT(ec, EC_BIND_SC, create_sc(sel(), SEL_ROOT_PD, o, QPD(1, 1000)));
}

/* Priority and quantum. */
CASE(create_sc, BAD_PARAMETER)
{
	const unsigned long bad[] = {QPD(0, 1), QPD(PRIORITY_MAX + 1, 1), QPD(255, 1), QPD(1, 0)};

	bound_ec = global_ec();
	for (unsigned i = 0; i < 4; i++)
		EQUAL(create_sc(sel(), SEL_ROOT_PD, bound_ec, bad[i]), BAD_PARAMETER);
	/* What is between them means nothing. */
	EQUAL(create_sc(sel(), SEL_ROOT_PD, bound_ec, QPD(1, 1) | 0xf00), SUCCESS);
}

/* create_pt */

CASE(create_pt, SUCCESS)
{
	bound_ec = local_ec();
	creates(a_pt);
}

/* Also: a global EC. */
CASE(create_pt, BAD_CAPABILITY)
{
	bound_ec = local_ec();
	create_refused(a_pt);
	NO_CAPABILITY(SEL_ROOT_PD, create_pt(sel(), SEL_ROOT_PD, o, 0, 0));
	bound_ec = SEL_ROOT_EC;
	EQUAL(a_pt(sel(), SEL_ROOT_PD), BAD_CAPABILITY);
}

CASE(create_pt, OUT_OF_MEMORY)
{
	bound_ec = local_ec();
	create_no_memory(a_pt);
}

CASE(create_pt, PD_CREATE_PT)
{
	bound_ec = local_ec();
	create_right(a_pt, PD_CREATE_PT);
}

CASE(create_pt, EC_BIND_PT)
{
	unsigned long ec = local_ec();

	RIGHT(ec, EC_BIND_PT, create_pt(sel(), SEL_ROOT_PD, o, 0, 0));
}

/* The entry. */
CASE(create_pt, BAD_PARAMETER)
{
	unsigned long ec = local_ec();

	EQUAL(create_pt(sel(), SEL_ROOT_PD, ec, 0, USER_END), BAD_PARAMETER);
	EQUAL(create_pt(sel(), SEL_ROOT_PD, ec, 0, ~0ul), BAD_PARAMETER);
	EQUAL(create_pt(sel(), SEL_ROOT_PD, ec, 0, 1ul << 47), BAD_PARAMETER);
}

/* create_sm */

CASE(create_sm, SUCCESS)
{
	creates(an_sm);
}

CASE(create_sm, BAD_CAPABILITY)
{
	create_refused(an_sm);
}

CASE(create_sm, OUT_OF_MEMORY)
{
	create_no_memory(an_sm);
}

CASE(create_sm, PD_CREATE_SM)
{
	unsigned long sm = make_sm(0);

	create_right(an_sm, PD_CREATE_SM);
	NO_RIGHT(sm, create_signal(sel(), SEL_ROOT_PD, 1, o));
}
