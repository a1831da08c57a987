/*
 * Objects that are made and destroyed again and again: what they took comes back,
 * all of it.
 */
#include "test.h"

static unsigned long local_ec;

static enum status make_sm_at(unsigned long s)
{
	return create_sm(s, SEL_ROOT_PD, 0);
}

static enum status make_pt_at(unsigned long s)
{
	return create_pt(s, SEL_ROOT_PD, local_ec, 0, 0x1000);
}

static enum status make_pd_at(unsigned long s)
{
	return create_pd(s, SEL_ROOT_PD, 0, 20);
}

static enum status make_ec_at(unsigned long s, unsigned flags)
{
	static unsigned long at;

	if (!at)
		at = free_pages(0);
	return create_ec(s, SEL_ROOT_PD, flags, at, boot_cpu, 0, 0);
}

static enum status make_local_at(unsigned long s)
{
	return make_ec_at(s, EC_LOCAL);
}

static enum status make_thread_at(unsigned long s)
{
	return make_ec_at(s, EC_GLOBAL);
}

static void nothing(struct frame *f)
{
	(void)f;
}

/* In turn at one place. */
static void churn(enum status (*make)(unsigned long s), unsigned times)
{
	unsigned long s = sel(), before;

	local_ec = make_handler(SEL_ROOT_PD, boot_cpu, nothing)->ec;
	for (unsigned i = 0; i < 4; i++) {
		SETUP(make(s));
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, s)));
	}
	before = usage_settled(SEL_ROOT_PD);
	for (unsigned long i = 0; i < (unsigned long)times * often; i++) {
		enum status status = make(s);

		if (status != SUCCESS) {
			/* Freed memory is not back yet. */
			quiesce();
			status = make(s);
		}
		EQUAL(status, SUCCESS);
		EQUAL(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, s)), SUCCESS);
	}
	wait_usage(SEL_ROOT_PD, before);
}

static void sm(void)
{
	churn(make_sm_at, 10000);
}

static void pt(void)
{
	churn(make_pt_at, 10000);
}

static void ec(void)
{
	churn(make_local_at, 3000);
}

static void thread(void)
{
	churn(make_thread_at, 3000);
}

static void pd(void)
{
	churn(make_pd_at, 3000);
}

/* An SC's EC is destroyed before or after it, or both at once. */
static enum status running(unsigned long s, unsigned long thread)
{
	static unsigned long at;
	struct frame *f = (struct frame *)page[PAGES - 1];
	enum status status;

	if (!at)
		at = free_pages(0);
	/* On nobody else's stack: it ends at once. */
	f->function = nothing;
	status = create_ec(thread, SEL_ROOT_PD, EC_GLOBAL, at, boot_cpu, (unsigned long)f,
			   common_events(SEL_ROOT_PD, boot_cpu));
	return status ? status : create_sc(s, SEL_ROOT_PD, thread, QPD(1, 1000));
}

static void sc(void)
{
	unsigned long s = sel_range(1), before = 0;

	for (unsigned i = 0; i < 2000 * often; i++) {
		EQUAL(running(s, s + 1), SUCCESS);
		EQUAL(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, i % 3 == 0, i % 3 == 1 ? s + 1 : s)),
		      SUCCESS);
		EQUAL(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 1, s)), SUCCESS);
		sleep_us(10);
		if (i == 10)
			before = usage_settled(SEL_ROOT_PD);
	}
	wait_usage(SEL_ROOT_PD, before);
}

const struct test churn_tests[] = {
	{"churn.sm", sm, 0},
	{"churn.pt", pt, 0},
	{"churn.ec", ec, 0},
	{"churn.thread", thread, 0},
	{"churn.sc", sc, 0},
	{"churn.pd", pd, 0},
	{0},
};
