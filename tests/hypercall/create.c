/*
 * The create calls: what each makes, and every way to be refused.
 */
#include "test.h"

#define KERNEL_ADDRESS 0xffffffff80000000ul
#define NON_CANONICAL  0x0000800000000000ul

/* A capability of root's PD that may create anything but what `right` says. */
static unsigned long pd_without(unsigned right)
{
	return with_rights(SEL_ROOT_PD, RIGHTS_ALL & ~right);
}

static enum status pd_at(unsigned long s, unsigned long owner)
{
	return create_pd(s, owner, 0, 20);
}

static enum status ec_at(unsigned long s, unsigned long owner)
{
	return create_ec(s, owner, EC_LOCAL, free_pages(0), boot_cpu, 0, 0);
}

static enum status sm_at(unsigned long s, unsigned long owner)
{
	return create_sm(s, owner, 0);
}

static unsigned long a_local_ec, a_global_ec;

static enum status pt_at(unsigned long s, unsigned long owner)
{
	return create_pt(s, owner, a_local_ec, 0, 0x1000);
}

/* An EC that waits for its startup portal in vain would die: it has one. */
static enum status sc_at(unsigned long s, unsigned long owner)
{
	return create_sc(s, owner, a_global_ec, QPD(1, 1000));
}

static const struct kind {
	enum status (*create)(unsigned long s, unsigned long owner);
	unsigned right; /* of the owner PD */
} kinds[] = {
	{pd_at, PD_CREATE_PD}, {ec_at, PD_CREATE_EC}, {sc_at, PD_CREATE_SC},
	{pt_at, PD_CREATE_PT}, {sm_at, PD_CREATE_SM},
};

static void nothing(struct frame *f)
{
	(void)f;
}

/*
 * All five: where the capability goes must be free and exist, the owner must be
 * a PD that the caller may create this in.
 */
static void all(const struct kind *k)
{
	unsigned long s = sel(), limit = hip->selectors;

	a_local_ec = make_handler(SEL_ROOT_PD, boot_cpu, nothing)->ec;
	a_global_ec = make_idle_thread(SEL_ROOT_PD, boot_cpu, nothing, 0,
				       common_events(SEL_ROOT_PD, boot_cpu))
			      ->ec;
	EQUAL(k->create(s, sel()), BAD_CAPABILITY);
	EQUAL(k->create(s, a_local_ec), BAD_CAPABILITY);
	EQUAL(k->create(s, SEL_ROOT_SC), BAD_CAPABILITY);
	EQUAL(k->create(s, limit), BAD_CAPABILITY);
	EQUAL(k->create(s, ~0ul), BAD_CAPABILITY);
	EQUAL(k->create(s, pd_without(k->right)), BAD_CAPABILITY);
	EQUAL(k->create(SEL_ROOT_PD, SEL_ROOT_PD), BAD_CAPABILITY);
	EQUAL(k->create(limit, SEL_ROOT_PD), BAD_CAPABILITY);
	EQUAL(k->create(limit + s, SEL_ROOT_PD), BAD_CAPABILITY);
	EQUAL(k->create(~0ul >> 8, SEL_ROOT_PD), BAD_CAPABILITY);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, s)), 0);
	EQUAL(k->create(s, with_rights(SEL_ROOT_PD, k->right)), SUCCESS);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, s)), CRD(CRD_OBJ, RIGHTS_ALL, 0, s));
	EQUAL(k->create(s, SEL_ROOT_PD), BAD_CAPABILITY);
}

static void pd(void)
{
	all(&kinds[0]);
}

static void ec(void)
{
	all(&kinds[1]);
}

static void sc(void)
{
	all(&kinds[2]);
}

static void pt(void)
{
	all(&kinds[3]);
}

static void sm(void)
{
	all(&kinds[4]);
}

/* A PD cannot be given more than its owner has. */
static void pd_quota_limit(void)
{
	unsigned long limit, used, s = sel();

	SETUP(pd_quota(SEL_ROOT_PD, &limit, &used));
	EQUAL(create_pd(s, SEL_ROOT_PD, 0, (uint32_t)limit), BAD_PARAMETER);
	EQUAL(create_pd(s, SEL_ROOT_PD, 0, ~0u), BAD_PARAMETER);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, s)), 0);

	unsigned long limit2;

	SETUP(pd_quota(SEL_ROOT_PD, &limit2, &used));
	EQUAL(limit2, limit);
}

/* What is handed over arrives at selector 0, with its rights. */
static void pd_hand_over(void)
{
	unsigned long range = sel_range(2), p = sel();

	SETUP(create_sm(range + 1, SEL_ROOT_PD, 0));
	SETUP(create_sm(range + 2, SEL_ROOT_PD, 0));
	EQUAL(create_pd(p, SEL_ROOT_PD, CRD(CRD_OBJ, SM_RIGHT_UP | PD_CREATE_SM, 2, range), QUOTA),
	      SUCCESS);
	SETUP(give(p, CRD(CRD_MEM, RIGHTS_ALL, 9, 0x1000)));
	SETUP(give(p, CRD(CRD_OBJ, RIGHTS_ALL, 5, common_events(SEL_ROOT_PD, boot_cpu))));

	struct frame *s = make_handler_events(p, boot_cpu, make_servant(SEL_ROOT_PD)->function,
					      common_events(SEL_ROOT_PD, boot_cpu));

	s->pt = make_portal(s, 0, 0);
	EQUAL(ask(s, OP_LOOKUP, CRD(CRD_OBJ, 0, 0, 0), 0), 0);
	EQUAL(ask(s, OP_LOOKUP, CRD(CRD_OBJ, 0, 0, 1), 0),
	      CRD(CRD_OBJ, SM_RIGHT_UP | PD_CREATE_SM, 0, 1));
	EQUAL(ask(s, OP_LOOKUP, CRD(CRD_OBJ, 0, 0, 2), 0),
	      CRD(CRD_OBJ, SM_RIGHT_UP | PD_CREATE_SM, 0, 2));
	EQUAL(ask(s, OP_LOOKUP, CRD(CRD_OBJ, 0, 0, 3), 0), 0);
	EQUAL(ask_call(s, CALL_ID(CALL_SM_CTRL, SM_UP, 1), 0, 0, 0, 0), SUCCESS);
	EQUAL(sm_down(range + 1, 1), SUCCESS);
}

/* What a PD has at a selector, or 0. */
static uint64_t held(unsigned long pd, unsigned long at)
{
	unsigned long s = sel();

	set_item(CRD(CRD_OBJ, RIGHTS_ALL, 0, at), ITEM_DELEGATE);
	SETUP(delegate(pd, CRD(CRD_OBJ, RIGHTS_ALL, 0, s), SEL_ROOT_PD));
	return CRD_RIGHTS(look(CRD(CRD_OBJ, 0, 0, s)));
}

/* Only objects are handed over, an aligned range of them, and the new PD pays for that. */
static void pd_hand_over_what(void)
{
	enum { SMS_ORDER = 9 };
	unsigned long range = sel_range(2), p = sel(), limit, limit2, used;
	const uint64_t others[] = {CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page)),
				   CRD(CRD_PIO, RIGHTS_ALL, 16, 0), CRD_NULL,
				   CRD(CRD_OBJ, 0, 2, range)};

	for (unsigned i = 0; i < 4; i++)
		SETUP(create_sm(range + i, SEL_ROOT_PD, 0));
	for (unsigned i = 0; i < 4; i++) {
		EQUAL(create_pd(p, SEL_ROOT_PD, others[i], QUOTA), SUCCESS);
		EQUAL(held(p, 0), 0);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, p)));
	}
	EQUAL(create_pd(p, SEL_ROOT_PD, CRD(CRD_OBJ, SM_RIGHT_UP, 1, range + 3), QUOTA), SUCCESS);
	for (unsigned i = 0; i < 4; i++)
		EQUAL(held(p, i), i < 2 ? SM_RIGHT_UP : 0);

	for (unsigned i = 0; i < 1 << SMS_ORDER; i++)
		SETUP(create_sm(SEL_MANY + i, SEL_ROOT_PD, 0));
	(void)usage_settled(SEL_ROOT_PD);
	SETUP(pd_quota(SEL_ROOT_PD, &limit, &used));
	p = sel();
	EQUAL(create_pd(p, SEL_ROOT_PD, CRD(CRD_OBJ, RIGHTS_ALL, SMS_ORDER, SEL_MANY), 6),
	      OUT_OF_MEMORY);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, p)), 0);
	WAIT((pd_quota(SEL_ROOT_PD, &limit2, &used) == SUCCESS && limit2 == limit));
	EQUAL(create_pd(p, SEL_ROOT_PD, 0, 0), OUT_OF_MEMORY);
	EQUAL(create_pd(p, SEL_ROOT_PD, 0, 6), SUCCESS);
}

/* An EC's CPU must be there. */
static void ec_cpu(void)
{
	unsigned long s = sel();
	static const unsigned none[] = {8, 63, 64, 255, 0xfff};

	EQUAL(create_ec(s, SEL_ROOT_PD, EC_LOCAL, free_pages(0), cpus, 0, 0), BAD_CPU);
	for (unsigned i = 0; i < sizeof(none) / sizeof(*none); i++)
		EQUAL(create_ec(s, SEL_ROOT_PD, EC_LOCAL, free_pages(0), none[i], 0, 0), BAD_CPU);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		EQUAL(create_ec(sel(), SEL_ROOT_PD, EC_LOCAL, free_pages(0), cpu, 0, 0), SUCCESS);
}

/* A UTCB appears in the PD, zeroed, where nothing may be yet. */
static void ec_utcb(void)
{
	unsigned long s = sel(), at = free_pages(0);
	uint64_t value;

	EQUAL(probe_read((void *)at, &value), FAULT(VECTOR_PF));
	EQUAL(create_ec(s, SEL_ROOT_PD, EC_LOCAL, at, boot_cpu, 0, 0), SUCCESS);
	for (unsigned i = 0; i < PAGE_SIZE; i += 8) {
		EQUAL(probe_read((void *)(at + i), &value), 0);
		EQUAL(value, 0);
	}
	EQUAL(probe_write((void *)at, 1), 0);
	EQUAL(probe_execute((void *)at), FAULT(VECTOR_PF));

	s = sel();
	EQUAL(create_ec(s, SEL_ROOT_PD, EC_LOCAL, at, boot_cpu, 0, 0), BAD_PARAMETER);
	EQUAL(create_ec(s, SEL_ROOT_PD, EC_LOCAL, (unsigned long)page, boot_cpu, 0, 0),
	      BAD_PARAMETER);
	EQUAL(create_ec(s, SEL_ROOT_PD, EC_LOCAL, ROOT_UTCB, boot_cpu, 0, 0), BAD_PARAMETER);
	EQUAL(create_ec(s, SEL_ROOT_PD, EC_LOCAL, ROOT_HIP, boot_cpu, 0, 0), BAD_PARAMETER);
	EQUAL(create_ec(s, SEL_ROOT_PD, EC_LOCAL, USER_END, boot_cpu, 0, 0), BAD_PARAMETER);
	EQUAL(create_ec(s, SEL_ROOT_PD, EC_LOCAL, NON_CANONICAL, boot_cpu, 0, 0), BAD_PARAMETER);
	EQUAL(create_ec(s, SEL_ROOT_PD, EC_LOCAL, KERNEL_ADDRESS, boot_cpu, 0, 0), BAD_PARAMETER);
	EQUAL(create_ec(s, SEL_ROOT_PD, EC_LOCAL, 0, boot_cpu, 0, 0), BAD_PARAMETER);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, s)), 0);
}

/* With its EC a UTCB goes, and its place is free again. */
static void ec_utcb_goes(void)
{
	unsigned long s = sel(), at = free_pages(0);
	uint64_t value;

	for (unsigned i = 0; i < 10; i++) {
		EQUAL(create_ec(s, SEL_ROOT_PD, i % 2, at, boot_cpu, 0, 0), SUCCESS);
		EQUAL(probe_write((void *)at, i), 0);
		EQUAL(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, s)), SUCCESS);
		EQUAL(probe_read((void *)at, &value), FAULT(VECTOR_PF));
	}
}

/* A vCPU needs a processor that can. */
static void ec_vcpu(void)
{
	bool can = hip->features & (HIP_VMX | HIP_SVM);

	EQUAL(create_vcpu(sel(), SEL_ROOT_PD, boot_cpu, 0), can ? SUCCESS : BAD_FEATURE);
}

/* An SC: for a global EC that has none, priority 1 to 127, some quantum. */
static void sc_parameters(void)
{
	struct frame *t = make_idle_thread(SEL_ROOT_PD, boot_cpu, nothing, 0,
					   common_events(SEL_ROOT_PD, boot_cpu));
	unsigned long s = sel();

	EQUAL(create_sc(s, SEL_ROOT_PD, t->ec, QPD(0, 1000)), BAD_PARAMETER);
	EQUAL(create_sc(s, SEL_ROOT_PD, t->ec, QPD(128, 1000)), BAD_PARAMETER);
	EQUAL(create_sc(s, SEL_ROOT_PD, t->ec, QPD(255, 1000)), BAD_PARAMETER);
	EQUAL(create_sc(s, SEL_ROOT_PD, t->ec, QPD(1, 0)), BAD_PARAMETER);
	EQUAL(create_sc(s, SEL_ROOT_PD, sel(), QPD(1, 1000)), BAD_CAPABILITY);
	EQUAL(create_sc(s, SEL_ROOT_PD, SEL_ROOT_PD, QPD(1, 1000)), BAD_CAPABILITY);
	EQUAL(create_sc(s, SEL_ROOT_PD, SEL_ROOT_EC, QPD(1, 1000)), BAD_CAPABILITY);
	EQUAL(create_sc(s, SEL_ROOT_PD, make_handler(SEL_ROOT_PD, boot_cpu, nothing)->ec,
			QPD(1, 1000)),
	      BAD_CAPABILITY);
	EQUAL(create_sc(s, SEL_ROOT_PD, with_rights(t->ec, RIGHTS_ALL & ~EC_BIND_SC), QPD(1, 1000)),
	      BAD_CAPABILITY);
	EQUAL(create_sc(s, SEL_ROOT_PD, with_rights(t->ec, EC_BIND_SC), QPD(127, ~0ul >> 12)),
	      SUCCESS);
	EQUAL(create_sc(sel(), SEL_ROOT_PD, t->ec, QPD(1, 1000)), BAD_CAPABILITY);
}

/* A portal: to a local EC, its entry in user space. */
static void pt_parameters(void)
{
	unsigned long s = sel();
	unsigned long e = make_handler(SEL_ROOT_PD, boot_cpu, nothing)->ec;

	EQUAL(create_pt(s, SEL_ROOT_PD, sel(), 0, 0), BAD_CAPABILITY);
	EQUAL(create_pt(s, SEL_ROOT_PD, SEL_ROOT_PD, 0, 0), BAD_CAPABILITY);
	EQUAL(create_pt(s, SEL_ROOT_PD, SEL_ROOT_EC, 0, 0), BAD_CAPABILITY);
	EQUAL(create_pt(s, SEL_ROOT_PD, e, 0, USER_END), BAD_PARAMETER);
	EQUAL(create_pt(s, SEL_ROOT_PD, e, 0, NON_CANONICAL), BAD_PARAMETER);
	EQUAL(create_pt(s, SEL_ROOT_PD, e, 0, KERNEL_ADDRESS), BAD_PARAMETER);
	EQUAL(create_pt(s, SEL_ROOT_PD, e, 0, ~0ul), BAD_PARAMETER);
	EQUAL(create_pt(s, SEL_ROOT_PD, with_rights(e, RIGHTS_ALL & ~EC_BIND_PT), 0, 0),
	      BAD_CAPABILITY);
	EQUAL(create_pt(s, SEL_ROOT_PD, with_rights(e, EC_BIND_PT), ~0ul, USER_END - 1), SUCCESS);
}

/* What a signal cannot be chained to: said, and nothing made. */
static void sm_signal(void)
{
	unsigned long s = sel(), signal = sel(), gsi = sel();

	EQUAL(create_signal(signal, SEL_ROOT_PD, 1, with_rights(make_sm(0), 0)),
	      BAD_CAPABILITY); /* no right is no capability */
	EQUAL(create_signal(signal, SEL_ROOT_PD, 1, with_rights(make_sm(0), SM_RIGHT_UP)), SUCCESS);
	EQUAL(create_signal(s, SEL_ROOT_PD, 1, signal), BAD_CAPABILITY);
	EQUAL(create_signal(s, SEL_ROOT_PD, 1, SEL_ROOT_PD), BAD_CAPABILITY);
	EQUAL(create_signal(s, SEL_ROOT_PD, 1, s), BAD_CAPABILITY);
	SETUP(take(CRD(CRD_OBJ, RIGHTS_ALL, 0, KERNEL_SEL_GSI + 5), ITEM_DELEGATE | ITEM_KERNEL,
		   CRD(CRD_OBJ, RIGHTS_ALL, 0, gsi)));
	EQUAL(create_signal(s, SEL_ROOT_PD, 1, gsi), BAD_CAPABILITY);
	EQUAL(look(CRD(CRD_OBJ, 0, 0, s)), 0);
}

/* Many at the same time. */
static void many_sms(void)
{
	unsigned long before;

	before = usage_settled(SEL_ROOT_PD);
	for (unsigned long i = 0; i < 20000; i++)
		EQUAL(create_sm(SEL_MANY + i, SEL_ROOT_PD, i), SUCCESS);
	CHECK(usage(SEL_ROOT_PD) > before);
	EQUAL(sm_down(SEL_MANY + 19999, 1), SUCCESS);
	EQUAL(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, SEL_MANY_ORDER, SEL_MANY)), SUCCESS);
	wait_usage(SEL_ROOT_PD, before);
}

/* Selectors far up are like others, in every PD that uses them. */
static void high_selectors(void)
{
	const unsigned long at[] = {(1ul << 18) - 1, 1ul << 18, 1ul << 20, hip->selectors - 1};
	unsigned long low = make_sm(0);
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, echo);

	for (unsigned i = 0; i < 4; i++) {
		unsigned long s = at[i], other = make_pd();
		uint64_t crd = CRD(CRD_OBJ, RIGHTS_ALL, 0, s);

		EQUAL(sm_up(s), BAD_CAPABILITY);
		EQUAL(create_sm(s, SEL_ROOT_PD, 1), SUCCESS);
		EQUAL(create_sm(s, SEL_ROOT_PD, 1), BAD_CAPABILITY);
		EQUAL(sm_up(s), SUCCESS);
		EQUAL(sm_down(s, 0), SUCCESS);
		EQUAL(look(crd), crd);
		EQUAL(give_at(other, crd, ITEM_DELEGATE, crd), SUCCESS);
		EQUAL(give_at(other, CRD(CRD_OBJ, RIGHTS_ALL, 0, low), ITEM_DELEGATE, crd),
		      SUCCESS);
		EQUAL(revoke_self(crd), SUCCESS);
		EQUAL(sm_down(s, 0), BAD_CAPABILITY);
		EQUAL(look(crd), 0);
		EQUAL(create_pt(s, SEL_ROOT_PD, h->ec, 0, (unsigned long)entry_portal), SUCCESS);
		EQUAL(call(s), SUCCESS);
		EQUAL(revoke_self(crd), SUCCESS);
		EQUAL(call(s), BAD_CAPABILITY);
	}
}

const struct test create_tests[] = {
	{"create.pd", pd, 0},
	{"create.ec", ec, 0},
	{"create.sc", sc, 0},
	{"create.pt", pt, 0},
	{"create.sm", sm, 0},
	{"create.pd_quota_limit", pd_quota_limit, 0},
	{"create.pd_hand_over", pd_hand_over, 0},
	{"create.pd_hand_over_what", pd_hand_over_what, 0},
	{"create.high_selectors", high_selectors, 0},
	{"create.ec_cpu", ec_cpu, 0},
	{"create.ec_utcb", ec_utcb, 0},
	{"create.ec_utcb_goes", ec_utcb_goes, 0},
	{"create.ec_vcpu", ec_vcpu, 0},
	{"create.sc_parameters", sc_parameters, 0},
	{"create.pt_parameters", pt_parameters, 0},
	{"create.sm_signal", sm_signal, 0},
	{"create.many_sms", many_sms, 0},
	{0},
};
