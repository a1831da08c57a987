/*
 * The cases of ec_ctrl, sc_ctrl, sm_ctrl and pd_ctrl.
 */
#include "matrix.h"

/* ec_ctrl */

static enum status ec_ctrl(unsigned op, unsigned long ec)
{
	return syscall_3(CALL_ID(CALL_EC_CTRL, op, ec), 0, 0);
}

CASE(ec_ctrl, SUCCESS)
{
	EQUAL(ec_recall(SEL_ROOT_EC), SUCCESS);
}

static void spin(struct frame *f)
{
	while (!f->value[0])
		f->value[1]++;
}

static void recalled(struct frame *f)
{
	f->value[0]++;
	f->utcb->mtd = 0;
}

/* The EC reports the event. */
CASE(ec_ctrl, EC_RECALL)
{
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, recalled), *t;
	unsigned long events = sel_range(5);

	give_recall(events, h);
	t = make_idle_thread(SEL_ROOT_PD, boot_cpu, spin, 0, events);
	start_thread(t, 1, 1000);
	WAIT(t->value[1]);
	EQUAL(ec_recall(t->ec), SUCCESS);
	WAIT(h->value[0] == 1);
	t->value[0] = 1;
}

CASE(ec_ctrl, EC_CONTROL)
{
	unsigned long ec = local_ec();

	RIGHT(ec, EC_CONTROL, ec_recall(o));
}

CASE(ec_ctrl, BAD_CAPABILITY)
{
	NO_CAPABILITY(SEL_ROOT_PD, ec_recall(o));
}

/* Another thread of the same priority runs, whose turn it would not be. */
static void yields(unsigned op)
{
	struct frame *t = make_idle_thread(SEL_ROOT_PD, boot_cpu, spin, 0,
					   common_events(SEL_ROOT_PD, boot_cpu));
	uint64_t ran = 0;

	start_thread(t, 1, 1000);
	for (unsigned i = 0; i < 100 && !ran; i++) {
		EQUAL(ec_ctrl(op, 0), SUCCESS);
		ran = t->value[1];
	}
	t->value[0] = 1;
	CHECK(ran);
}

CASE(ec_ctrl, EC_YIELD)
{
	yields(EC_YIELD);
}

CASE(ec_ctrl, EC_RESCHEDULE)
{
	yields(EC_RESCHEDULE);
}

/* What none of them can do, whatever there is of them. */
static void ec_ctrl_nothing(unsigned op)
{
	CHECK(ec_ctrl(op, sel()) != SUCCESS);
	CHECK(ec_ctrl(op, SEL_ROOT_SC) != SUCCESS);
}

static enum status ec_ctrl_rsi(unsigned op, unsigned long ec, unsigned long rsi, unsigned long rdx)
{
	return syscall_3(CALL_ID(CALL_EC_CTRL, op, ec), rsi, rdx);
}

CASE(ec_ctrl, TIMEOUT)
{
	struct frame *t;

	if (cpus < 2)
		test_skip("one CPU");
	t = make_thread(SEL_ROOT_PD, other_cpu(), 1, spin, 0);
	WAIT(t->value[1]);
	may_fault = true; /* there is no recall portal */
	EQUAL(ec_ctrl_rsi(EC_RECALL, t->ec, 1, 0), TIMEOUT);
}

CASE(ec_ctrl, BAD_CPU)
{
	struct frame *t;

	EQUAL(ec_ctrl_rsi(EC_MIGRATE, SEL_ROOT_EC, cpus, 0), BAD_CPU);
	EQUAL(ec_ctrl_rsi(EC_MIGRATE, SEL_ROOT_EC, 1ul << 32 | boot_cpu, 0), BAD_CPU);
	if (cpus > 1) {
		t = make_thread(SEL_ROOT_PD, other_cpu(), 1, spin, 0);
		EQUAL(ec_ctrl(EC_HELP, t->ec), BAD_CPU);
		EQUAL(ec_ctrl_rsi(EC_MIGRATE, t->ec, boot_cpu, 0), BAD_CPU);
	}
}

/* The place for a capability has no table, and there are no pages for one. */
CASE(ec_ctrl, OUT_OF_MEMORY)
{
	unsigned long pd = make_pd_quota(SEL_ROOT_PD, 40);
	struct frame *t = make_thread(pd, boot_cpu, 1, spin, 0);
	enum status s = SUCCESS;

	use_up_tables(pd);
	for (unsigned long i = 0; i < MANY && s == SUCCESS; i++) {
		s = ec_ctrl_rsi(EC_MIGRATE, t->ec, boot_cpu,
				CRD(CRD_OBJ, EC_CONTROL, 0, 0x20000 + 512 * i));
	}
	EQUAL(s, OUT_OF_MEMORY);
}

CASE(ec_ctrl, EC_HELP)
{
	NO_RIGHT(SEL_ROOT_EC, ec_ctrl(EC_HELP, o));
	ec_ctrl_nothing(EC_HELP);
}

CASE(ec_ctrl, EC_MIGRATE)
{
	RIGHT(SEL_ROOT_EC, EC_CONTROL, ec_ctrl_rsi(EC_MIGRATE, o, boot_cpu, 0));
	ec_ctrl_nothing(EC_MIGRATE);
}

CASE(ec_ctrl, EC_TIME)
{
	NO_RIGHT(SEL_ROOT_EC, ec_ctrl(EC_TIME, o));
	ec_ctrl_nothing(EC_TIME);
}

CASE(ec_ctrl, EC_GET_STATE)
{
	ec_ctrl_nothing(EC_GET_STATE);
}

CASE(ec_ctrl, EC_SET_STATE)
{
	ec_ctrl_nothing(EC_SET_STATE);
}

CASE(ec_ctrl, EC_MSR)
{
	my_utcb->items = 0;
	NO_RIGHT(SEL_MSR, ec_ctrl(EC_MSR, o));
	ec_ctrl_nothing(EC_MSR);
}

CASE(ec_ctrl, BAD_PARAMETER)
{
	for (unsigned op = EC_MSR + 1; op < 16; op++)
		EQUAL(ec_ctrl(op, SEL_ROOT_EC), BAD_PARAMETER);
}

/* sc_ctrl */

static enum status sc_ctrl(unsigned op, unsigned long sc)
{
	return syscall_3(CALL_ID(CALL_SC_CTRL, op, sc), SEL_ROOT_EC, 0);
}

CASE(sc_ctrl, SUCCESS)
{
	EQUAL(sc_ctrl(SC_TIME, SEL_ROOT_SC), SUCCESS);
}

CASE(sc_ctrl, SC_CONTROL)
{
	RIGHT(SEL_ROOT_SC, SC_CONTROL, sc_ctrl(SC_TIME, o));
}

CASE(sc_ctrl, BAD_CAPABILITY)
{
	NO_CAPABILITY(SEL_ROOT_EC, sc_ctrl(SC_TIME, o));
}

/* It grows. */
CASE(sc_ctrl, SC_TIME)
{
	uint64_t before, after;

	EQUAL(sc_time(SEL_ROOT_SC, &before), SUCCESS);
	after = before;
	/* The machine may be away while somebody else runs. */
	for (unsigned i = 0; i < 100 && after < before + 1900; i++) {
		spin_us(2000);
		EQUAL(sc_time(SEL_ROOT_SC, &after), SUCCESS);
	}
	CHECK(after >= before + 1900);
}

static void sc_ctrl_nothing(unsigned op)
{
	CHECK(sc_ctrl(op, sel()) != SUCCESS);
	CHECK(sc_ctrl(op, SEL_ROOT_PD) != SUCCESS);
}

CASE(sc_ctrl, SC_TIME_CROSS)
{
	sc_ctrl_nothing(SC_TIME_CROSS);
}

CASE(sc_ctrl, SC_TIME_KILLED)
{
	sc_ctrl_nothing(SC_TIME_KILLED);
}

static enum status sc_time_of(unsigned long ec)
{
	return syscall_3(CALL_ID(CALL_SC_CTRL, SC_TIME_EC, SEL_ROOT_SC), ec, 0);
}

CASE(sc_ctrl, SC_TIME_EC)
{
	NO_RIGHT(SEL_ROOT_EC, sc_time_of(o));
	NO_CAPABILITY(SEL_ROOT_SC, sc_time_of(o));
	sc_ctrl_nothing(SC_TIME_EC);
}

CASE(sc_ctrl, BAD_PARAMETER)
{
	for (unsigned op = SC_TIME_EC + 1; op < 16; op++)
		EQUAL(sc_ctrl(op, SEL_ROOT_SC), BAD_PARAMETER);
}

/* sm_ctrl */

CASE(sm_ctrl, SUCCESS)
{
	EQUAL(sm_up(make_sm(0)), SUCCESS);
}

CASE(sm_ctrl, SM_UP)
{
	unsigned long sm = make_sm(0);

	EQUAL(sm_up(sm), SUCCESS);
	EQUAL(sm_down(sm, NOW), SUCCESS);
}

CASE(sm_ctrl, SM_RIGHT_UP)
{
	unsigned long sm = make_sm(0);

	RIGHT(sm, SM_RIGHT_UP, sm_up(o));
}

CASE(sm_ctrl, SM_DOWN)
{
	unsigned long sm = make_sm(2);

	EQUAL(sm_down(sm, NOW), SUCCESS);
	EQUAL(sm_down(sm, NOW), SUCCESS);
	EQUAL(sm_down(sm, NOW), TIMEOUT);
}

CASE(sm_ctrl, SM_RIGHT_DOWN)
{
	unsigned long sm = make_sm(1);

	RIGHT(sm, SM_RIGHT_DOWN, sm_down(o, NOW));
}

CASE(sm_ctrl, FLAG_SM_ZERO)
{
	unsigned long sm = make_sm(3);

	EQUAL(sm_down_all(sm, NOW), SUCCESS);
	EQUAL(sm_down_all(sm, NOW), TIMEOUT);
}

/* At once, and after some time. */
CASE(sm_ctrl, TIMEOUT)
{
	unsigned long sm = make_sm(0);
	uint64_t end = in_us(500);

	EQUAL(sm_down(sm, NOW), TIMEOUT);
	EQUAL(sm_down(sm, end), TIMEOUT);
	CHECK(rdtsc() >= end);
}

static void down(struct frame *f)
{
	f->value[0] = 1 + sm_down(f->argument, 0);
}

/* Also: destroyed under who sleeps there. */
CASE(sm_ctrl, BAD_CAPABILITY)
{
	unsigned long sm = make_sm(0);
	struct frame *t = make_thread(SEL_ROOT_PD, boot_cpu, 5, down, sm);

	NO_CAPABILITY(SEL_ROOT_EC, sm_up(o));
	NO_CAPABILITY(SEL_ROOT_EC, sm_down(o, NOW));
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, sm)));
	WAIT(t->value[0]);
	EQUAL(t->value[0], 1 + BAD_CAPABILITY);
}

/* pd_ctrl */

static enum status pd_ctrl(unsigned op, unsigned long pd, unsigned long to, unsigned long pages)
{
	return syscall_3(CALL_ID(CALL_PD_CTRL, op, pd), to, pages);
}

CASE(pd_ctrl, SUCCESS)
{
	EQUAL(pd_ctrl(PD_QUOTA, SEL_ROOT_PD, 0, 0), SUCCESS);
}

CASE(pd_ctrl, BAD_CAPABILITY)
{
	NO_CAPABILITY(SEL_ROOT_EC, pd_ctrl(PD_QUOTA, o, 0, 0));
	NO_CAPABILITY(SEL_ROOT_EC, pd_ctrl(PD_TRANSFER, o, SEL_ROOT_PD, 0));
	NO_CAPABILITY(SEL_ROOT_EC, pd_ctrl(PD_TRANSFER, SEL_ROOT_PD, o, 0));
}

CASE(pd_ctrl, PD_TRANSFER)
{
	unsigned long pd = make_empty_pd(SMALL), limit, used;

	EQUAL(pd_ctrl(PD_TRANSFER, SEL_ROOT_PD, pd, 5), SUCCESS);
	EQUAL(pd_quota(pd, &limit, &used), SUCCESS);
	EQUAL(limit, SMALL + 5);
	EQUAL(pd_ctrl(PD_TRANSFER, pd, SEL_ROOT_PD, 5), SUCCESS);
	NO_RIGHT(SEL_ROOT_PD, pd_ctrl(PD_TRANSFER, o, pd, 1));
	NO_RIGHT(pd, pd_ctrl(PD_TRANSFER, SEL_ROOT_PD, o, 1));
}

/* Quota that is not there; no such operation. */
CASE(pd_ctrl, BAD_PARAMETER)
{
	unsigned long pd = make_empty_pd(SMALL);

	EQUAL(pd_ctrl(PD_TRANSFER, pd, SEL_ROOT_PD, SMALL + 1), BAD_PARAMETER);
	EQUAL(pd_ctrl(1, pd, SEL_ROOT_PD, 0), BAD_PARAMETER);
	for (unsigned op = PD_QUOTA + 1; op < 16; op++)
		EQUAL(pd_ctrl(op, pd, SEL_ROOT_PD, 0), BAD_PARAMETER);
}

CASE(pd_ctrl, PD_QUOTA)
{
	unsigned long limit, used;

	EQUAL(pd_quota(make_empty_pd(SMALL), &limit, &used), SUCCESS);
	EQUAL(limit, SMALL);
	CHECK(used && used < SMALL);
	NO_RIGHT(SEL_ROOT_PD, pd_ctrl(PD_QUOTA, o, 0, 0));
}
