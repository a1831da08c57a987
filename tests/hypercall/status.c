/*
 * How calls end, whatever they do: the registers that a call does not name as an output stay,
 * also when it fails; and which status it is where several would be true.
 */
#include <lib/string.h>

#include "test.h"

enum { SMALL = 12, NOW = 1 };

static const uint64_t none = 0x1ffe, bad_cpu = 0xfff, anything = 0x5a5a5a5a5a5a5a5a;

/* All but TF. */
#define RFLAGS_ANY (0x202 | 0xcd5)

/* Registers that hold nothing in particular, and what is in them after a call. */
static struct registers registers_of(unsigned long id, const struct syscall *s)
{
	return (struct registers){
		.rax = s->rax,
		.rcx = anything,
		.rdx = s->rdx,
		.rbx = 3,
		.rbp = 5,
		.rsi = s->rsi,
		.rdi = id,
		.r8 = s->r8,
		.r9 = 9,
		.r10 = 10,
		.r11 = 11,
		.r12 = 12,
		.r13 = 13,
		.r14 = 14,
		.r15 = 15,
		.rflags = RFLAGS_ANY,
	};
}

/* The status of a call, of whose registers these and no others may have changed. */
enum { RSI = 1, RDX = 2, RAX = 4, R8 = 8 };

static enum status attempt(unsigned long id, struct syscall s, unsigned outputs)
{
	struct registers in = registers_of(id, &s), out = in;

	syscall_registers(&out);
	EQUAL(out.rflags, 0x202);
	in.rdi = out.rdi;
	in.rcx = out.rcx;
	in.r11 = out.r11;
	in.rflags = out.rflags;
	in.rsi = outputs & RSI ? out.rsi : in.rsi;
	in.rdx = outputs & RDX ? out.rdx : in.rdx;
	in.rax = outputs & RAX ? out.rax : in.rax;
	in.r8 = outputs & R8 ? out.r8 : in.r8;
	CHECK(memcmp(&in, &out, sizeof(in)) == 0);
	return out.rdi & 0xff;
}

#define TRY(id, rsi, rdx, rax, r8) attempt(id, (struct syscall){rsi, rdx, rax, r8}, 0)

static void nothing(struct frame *f)
{
	(void)f;
}

static unsigned long idle_thread(void)
{
	return make_idle_thread(SEL_ROOT_PD, boot_cpu, nothing, 0,
				common_events(SEL_ROOT_PD, boot_cpu))
		->ec;
}

static unsigned long local_ec(void)
{
	return make_handler(SEL_ROOT_PD, boot_cpu, nothing)->ec;
}

/* Calls that succeed, with all flags and registers that they have no use for. */
static void registers(void)
{
	unsigned long pd = make_pd(), ec = local_ec(), sm = make_sm(0), at = sel_range(3), pt;
	const unsigned long gsi = gsi_sm(8);

	my_utcb->items = 0;
	EQUAL(TRY(CALL_ID(CALL_CREATE_PD, 15, at), SEL_ROOT_PD, 0, 9ul << 32, anything), SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_CREATE_EC, 14, at + 1), SEL_ROOT_PD, free_pages(0) | boot_cpu,
		  anything, anything),
	      SUCCESS);
	/* Still a local one. */
	EQUAL(create_sc(sel(), SEL_ROOT_PD, at + 1, QPD(1, 1)), BAD_CAPABILITY);
	EQUAL(TRY(CALL_ID(CALL_CREATE_SC, 15, at + 2), SEL_ROOT_PD, idle_thread(),
		  QPD(1, 1) | 0xf00, anything),
	      SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_CREATE_PT, 15, at + 3), SEL_ROOT_PD, ec, anything, 0x1000), SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_CREATE_SM, 15, at + 4), SEL_ROOT_PD, anything, 0, anything),
	      SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_CREATE_SM, 15, at + 5), SEL_ROOT_PD, anything, sm, anything),
	      SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_REVOKE, 8, sm), 0, anything, anything, anything), SUCCESS);
	EQUAL(attempt(CALL_ID(CALL_REVOKE, 8 | FLAG_REVOKE_REMOTE, 0),
		      (struct syscall){0, pd, anything, anything}, RDX),
	      SUCCESS);
	EQUAL(attempt(CALL_ID(CALL_MISC, MISC_LOOKUP, none),
		      (struct syscall){CRD(CRD_OBJ, 0, 0, sm), anything, anything, anything}, RSI),
	      SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_MISC, MISC_DELEGATE, SEL_ROOT_PD), 0, pd, anything, anything),
	      SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_EC_CTRL, EC_RECALL, ec), 0, anything, anything, anything), SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_EC_CTRL, EC_RESCHEDULE, none), anything, anything, anything,
		  anything),
	      SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_EC_CTRL, EC_HELP, ec), anything, anything, anything, anything),
	      SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_EC_CTRL, EC_MIGRATE, SEL_ROOT_EC), boot_cpu, 0, anything, anything),
	      SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_PT_CTRL, 15, at + 3), anything, anything, anything, anything),
	      SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_SM_CTRL, SM_UP, sm), anything, anything, anything, anything),
	      SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_SM_CTRL, SM_DOWN | 12, sm), anything, anything, anything, anything),
	      SUCCESS);
	EQUAL(attempt(CALL_ID(CALL_ASSIGN_GSI, 0, gsi),
		      (struct syscall){0, boot_cpu, anything, anything}, RSI | RDX),
	      SUCCESS);
	EQUAL(TRY(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, pd), SEL_ROOT_PD, 1, anything, anything),
	      SUCCESS);
	pt = make_portal(make_handler(SEL_ROOT_PD, boot_cpu, echo), 0, 0);
	EQUAL(TRY(CALL_ID(CALL_CALL, 14, pt), anything, anything, anything, anything), SUCCESS);
}

/* The id says the operation; then what the call is about; then everything else. */
static void operations(void)
{
	for (unsigned op = 0; op < 16; op++) {
		if (op > MISC_SUSPEND)
			EQUAL(TRY(CALL_ID(CALL_MISC, op, none), 0, 0, 0, 0), BAD_PARAMETER);
		if (op > EC_MSR)
			EQUAL(TRY(CALL_ID(CALL_EC_CTRL, op, none), 0, 0, 0, 0), BAD_PARAMETER);
		if (op > SC_TIME_EC)
			EQUAL(TRY(CALL_ID(CALL_SC_CTRL, op, none), 0, 0, 0, 0), BAD_PARAMETER);
		if (op != PD_TRANSFER && op != PD_QUOTA)
			EQUAL(TRY(CALL_ID(CALL_PD_CTRL, op, none), 0, 0, 0, 0), BAD_PARAMETER);
	}
}

static unsigned long poor_pd(void)
{
	unsigned long pd = make_empty_pd(SMALL);

	use_up_all(pd);
	return pd;
}

#define CREATE(call, ...) TRY(CALL_ID(call, 0, at), __VA_ARGS__)

/*
 * The create calls: the owner, numbers, other objects, quota, memory, and last whether there is
 * something already.
 */
static void creation(void)
{
	unsigned long at = SEL_ROOT_PD, poor = poor_pd(), ec = local_ec();
	const uint64_t kernel = 1ul << 63, taken = ROOT_UTCB, big = 1ul << 40;

	/* No owner, and nothing else is right. */
	EQUAL(CREATE(CALL_CREATE_PD, none, none, ~0ul, 0), BAD_CAPABILITY);
	EQUAL(CREATE(CALL_CREATE_EC, none, kernel | bad_cpu, 0, 0), BAD_CAPABILITY);
	EQUAL(CREATE(CALL_CREATE_SC, none, none, QPD(0, 0), 0), BAD_CAPABILITY);
	EQUAL(CREATE(CALL_CREATE_PT, none, none, 0, kernel), BAD_CAPABILITY);
	EQUAL(CREATE(CALL_CREATE_SM, none, 0, none, 0), BAD_CAPABILITY);

	/* Numbers: no memory is needed to see that they are wrong. */
	EQUAL(CREATE(CALL_CREATE_EC, poor, kernel | bad_cpu, 0, 0), BAD_CPU);
	EQUAL(CREATE(CALL_CREATE_EC, poor, kernel | boot_cpu, 0, 0), BAD_PARAMETER);
	EQUAL(CREATE(CALL_CREATE_SC, poor, none, QPD(0, 0), 0), BAD_PARAMETER);
	EQUAL(CREATE(CALL_CREATE_PT, poor, none, 0, kernel), BAD_PARAMETER);

	/* Other objects. */
	EQUAL(CREATE(CALL_CREATE_SC, poor, none, QPD(1, 1), 0), BAD_CAPABILITY);
	EQUAL(CREATE(CALL_CREATE_PT, poor, none, 0, 0), BAD_CAPABILITY);
	EQUAL(CREATE(CALL_CREATE_SM, poor, 0, none, 0), BAD_CAPABILITY);

	/* Quota. */
	EQUAL(CREATE(CALL_CREATE_PD, poor, 0, big, 0), BAD_PARAMETER);

	/* Memory, though the place is taken. */
	EQUAL(CREATE(CALL_CREATE_PD, poor, 0, 0, 0), OUT_OF_MEMORY);
	EQUAL(CREATE(CALL_CREATE_PD, SEL_ROOT_PD, 0, 0, 0), OUT_OF_MEMORY);
	EQUAL(CREATE(CALL_CREATE_EC, poor, taken | boot_cpu, 0, 0), OUT_OF_MEMORY);
	EQUAL(CREATE(CALL_CREATE_SC, poor, idle_thread(), QPD(1, 1), 0), OUT_OF_MEMORY);
	EQUAL(CREATE(CALL_CREATE_PT, poor, ec, 0, 0), OUT_OF_MEMORY);
	EQUAL(CREATE(CALL_CREATE_SM, poor, 0, 0, 0), OUT_OF_MEMORY);

	/* The places: of the UTCB, of the capability. */
	EQUAL(CREATE(CALL_CREATE_EC, SEL_ROOT_PD, taken | boot_cpu, 0, 0), BAD_PARAMETER);
	EQUAL(CREATE(CALL_CREATE_PD, SEL_ROOT_PD, 0, 9ul << 32, 0), BAD_CAPABILITY);
	EQUAL(CREATE(CALL_CREATE_EC, SEL_ROOT_PD, free_pages(0) | boot_cpu, 0, 0), BAD_CAPABILITY);
	EQUAL(CREATE(CALL_CREATE_SC, SEL_ROOT_PD, idle_thread(), QPD(1, 1), 0), BAD_CAPABILITY);
	EQUAL(CREATE(CALL_CREATE_PT, SEL_ROOT_PD, ec, 0, 0), BAD_CAPABILITY);
	EQUAL(CREATE(CALL_CREATE_SM, SEL_ROOT_PD, 0, 0, 0), BAD_CAPABILITY);
}

#define FAR_PAGE 0x8000000

static void sleeper(struct frame *f)
{
	f->value[0] = 1;
	f->utcb->delegate = CRD(CRD_MEM, MEM_R, 0, FAR_PAGE);
	(void)!sm_down(SEL_FOREVER, 0);
}

static void caller(struct frame *f)
{
	f->utcb->items = 0;
	(void)!call(f->argument);
}

/* A call: the capability, the handler, what goes with it. */
static void calls(void)
{
	unsigned other = boot_cpu ? 0 : cpus - 1;
	unsigned long poor = make_pd_quota(SEL_ROOT_PD, 40), busy, dead, far;
	struct frame *h = make_handler(poor, boot_cpu, sleeper);
	struct frame *d = make_handler(SEL_ROOT_PD, other, echo);

	SETUP(give(poor, CRD(CRD_OBJ, RIGHTS_ALL, 0, SEL_FOREVER)));
	busy = make_portal(h, 0, 0);
	make_thread(SEL_ROOT_PD, boot_cpu, 5, caller, busy);
	NEED(h->value[0]);
	dead = make_portal(d, 0, 0);
	far = with_rights(dead, PT_CALL);
	SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, d->ec)));
	use_up_all(poor);
	set_item(CRD(CRD_MEM, MEM_R, 0, page_number(page)), ITEM_DELEGATE);
	EQUAL(TRY(CALL_ID(CALL_CALL, FLAG_CALL_NONBLOCK, with_rights(busy, PT_CONTROL)), 0, 0, 0,
		  0),
	      BAD_CAPABILITY);
	EQUAL(TRY(CALL_ID(CALL_CALL, FLAG_CALL_NONBLOCK, with_rights(dead, PT_CONTROL)), 0, 0, 0,
		  0),
	      BAD_CAPABILITY);
	EQUAL(TRY(CALL_ID(CALL_CALL, FLAG_CALL_NONBLOCK, busy), 0, 0, 0, 0), TIMEOUT);
	EQUAL(TRY(CALL_ID(CALL_CALL, 0, dead), 0, 0, 0, 0), TIMEOUT);
	EQUAL(TRY(CALL_ID(CALL_CALL, FLAG_CALL_NONBLOCK, far), 0, 0, 0, 0),
	      other == boot_cpu ? TIMEOUT : BAD_CPU);
}

/* The others that can be wrong in more than one way. */
static void others(void)
{
	unsigned long poor = poor_pd(), sm = make_sm(0), ec = local_ec();
	const unsigned long gsi = gsi_sm(8);

	set_item(CRD(CRD_MEM, MEM_R, 0, page_number(page)), ITEM_DELEGATE);
	EQUAL(TRY(CALL_ID(CALL_MISC, MISC_DELEGATE, none), CRD(CRD_MEM, MEM_R, 0, 0x4000), poor, 0,
		  0),
	      BAD_CAPABILITY);
	EQUAL(TRY(CALL_ID(CALL_MISC, MISC_DELEGATE, SEL_ROOT_PD), CRD(CRD_MEM, MEM_R, 0, 0x4000),
		  poor, 0, 0),
	      OUT_OF_MEMORY);
	EQUAL(TRY(CALL_ID(CALL_REVOKE, FLAG_REVOKE_SELF | FLAG_REVOKE_REMOTE, sm),
		  CRD(CRD_OBJ, RIGHTS_ALL, 0, sm), none, 0, 0),
	      BAD_CAPABILITY);
	EQUAL(TRY(CALL_ID(CALL_REVOKE, FLAG_REVOKE_SELF, none), CRD(CRD_OBJ, RIGHTS_ALL, 0, sm), 0,
		  0, 0),
	      BAD_CAPABILITY);
	CHECK(look(CRD(CRD_OBJ, 0, 0, sm)));
	EQUAL(TRY(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, none), SEL_ROOT_PD, ~0ul, 0, 0),
	      BAD_CAPABILITY);
	EQUAL(TRY(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, poor), none, ~0ul, 0, 0), BAD_CAPABILITY);
	EQUAL(TRY(CALL_ID(CALL_PD_CTRL, PD_TRANSFER, poor), SEL_ROOT_PD, ~0ul, 0, 0),
	      BAD_PARAMETER);
	EQUAL(TRY(CALL_ID(CALL_EC_CTRL, EC_MIGRATE, none), bad_cpu, 0, 0, 0), BAD_CAPABILITY);
	EQUAL(TRY(CALL_ID(CALL_EC_CTRL, EC_MIGRATE, ec), bad_cpu, 0, 0, 0), BAD_CPU);
	EQUAL(TRY(CALL_ID(CALL_EC_CTRL, EC_MIGRATE, ec), boot_cpu, 0, 0, 0), BAD_CAPABILITY);
	EQUAL(TRY(CALL_ID(CALL_EC_CTRL, EC_GET_STATE,
			  make_handler(SEL_ROOT_PD, boot_cpu ? 0 : cpus - 1, echo)->ec),
		  0, 0, 0, 0),
	      BAD_CAPABILITY);
	EQUAL(TRY(CALL_ID(CALL_ASSIGN_GSI, 0, sm), 1, bad_cpu, 0, 0), BAD_CAPABILITY);
	EQUAL(TRY(CALL_ID(CALL_ASSIGN_GSI, 0, gsi), 1, bad_cpu, 0, 0), BAD_CPU);
	EQUAL(TRY(CALL_ID(CALL_ASSIGN_GSI, 0, gsi), 1, boot_cpu, 0, 0), BAD_DEVICE);
	EQUAL(TRY(CALL_ID(CALL_SM_CTRL, SM_DOWN, sm), 0, NOW, 0, 0), TIMEOUT);
	EQUAL(TRY(CALL_ID(CALL_REPLY, 15, sm), 0, 0, 0, 0), BAD_HYPERCALL);
}

const struct test status_tests[] = {
	{"status.registers", registers, 0}, {"status.operations", operations, 0},
	{"status.creation", creation, 0},   {"status.calls", calls, 0},
	{"status.others", others, 0},	    {0},
};
