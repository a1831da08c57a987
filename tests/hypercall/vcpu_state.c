/*
 * vCPUs: state goes in and comes out, as the MTD says.
 */
#include <lib/string.h>

#include "vm.h"

/* General registers go in and come out; only those that the MTD names. */
static void compute_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->rax = 0x1111222233334444, u->rbx = 0x5555, u->rcx = 0x4001;
	u->rdx = 0xf0f0, u->rsi = 0x1234, u->rdi = 0x5678, u->rbp = 0x9abc;
	u->r8 = 8, u->r15 = 0x1515151515151515;
}

static void compute_check(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	if (vm.count == 0) {
		EQUAL(u->rax, 0x1111222233334445);
		EQUAL(u->rbx, 0x5557);
		EQUAL(u->rcx, 0x8002);
		EQUAL(u->rdx, 0x0f0f);
		EQUAL(u->rsi, 0x1234);
		EQUAL(u->rdi, 0x5678);
		EQUAL(u->rbp, 0x9abc);
		EQUAL(u->rsp, GUEST_STACK);
		EQUAL(u->r8, 8);
		EQUAL(u->r15, 0x1515151515151515);
		/* Of these only RBP to RDI are taken back. */
		u->rax = u->rbx = u->rcx = u->rdx = 0;
		u->rsi = 1, u->rdi = 2, u->rbp = 3;
		u->rip = guest_ip(guest_compute);
		u->length = 0;
		u->mtd = MTD_RIP_LEN | MTD_GPR_BSD;
		vm.sleep = false;
	} else {
		EQUAL(u->rax, 0x1111222233334446);
		EQUAL(u->rbx, 0x5559);
		EQUAL(u->rcx, 0x0004);
		EQUAL(u->rsi, 1);
		EQUAL(u->rdi, 2);
		EQUAL(u->rbp, 3);
	}
}

static void registers(void)
{
	make_vm(boot_cpu, MTD_GPR | MTD_RSP | MTD_RIP_LEN);
	run(guest_compute, compute_check, compute_start);
	EQUAL(vm.count, 2);
}

/* The rest of the state: what was put in comes out. */
static struct utcb state;

static void state_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->cr2 = 0x12345678, u->cr3 = 0x5000, u->cr4 = 0;
	u->ds = (struct segment){0x123, 0x93, 0xffff, 0x1230};
	u->es = (struct segment){0x234, 0x93, 0xffff, 0x2340};
	u->fs = (struct segment){0x345, 0x93, 0xffff, 0x3450};
	u->gs = (struct segment){0x456, 0x93, 0xffff, 0x4560};
	u->gdtr.base = 0x10000, u->gdtr.limit = 0x7f;
	u->idtr.base = 0x20000, u->idtr.limit = 0x3ff;
	u->tr.base = 0x3000, u->tr.selector = 0x28, u->tr.limit = 0x67;
	u->dr7 = 0x400;
	u->sysenter_cs = 0x10, u->sysenter_rsp = 0x1000;
	u->sysenter_rip = 0x2000;
	u->star = 0x0023001000000000, u->lstar = 0x1234567;
	u->cstar = 0x7654321, u->sfmask = 0x700;
	u->kernel_gs_base = 0x123456789000;
	u->mtd |= MTD_SYSENTER | MTD_SYSCALL;
	state = *u;
}

static void check_segment(const struct segment *is, const struct segment *was)
{
	EQUAL(is->selector, was->selector);
	EQUAL(is->base, was->base);
	EQUAL(is->limit, was->limit);
	/* The type is the processor's own affair in real mode. */
	EQUAL(is->rights & 0xf0, was->rights & 0xf0);
}

static void state_check(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	EQUAL(u->cr0, state.cr0);
	EQUAL(u->cr2, state.cr2);
	EQUAL(u->cr3, state.cr3);
	EQUAL(u->cr4, state.cr4);
	EQUAL(u->rflags, state.rflags);
	EQUAL(u->dr7, state.dr7);
	EQUAL(u->gdtr.base, state.gdtr.base);
	EQUAL(u->gdtr.limit, state.gdtr.limit);
	EQUAL(u->idtr.base, state.idtr.base);
	EQUAL(u->idtr.limit, state.idtr.limit);
	check_segment(&u->cs, &state.cs);
	check_segment(&u->ss, &state.ss);
	check_segment(&u->ds, &state.ds);
	check_segment(&u->es, &state.es);
	check_segment(&u->fs, &state.fs);
	check_segment(&u->gs, &state.gs);
	check_segment(&u->tr, &state.tr);
	EQUAL(u->sysenter_cs, state.sysenter_cs);
	EQUAL(u->sysenter_rsp, state.sysenter_rsp);
	EQUAL(u->sysenter_rip, state.sysenter_rip);
	EQUAL(u->star, state.star);
	EQUAL(u->lstar, state.lstar);
	EQUAL(u->cstar, state.cstar);
	EQUAL(u->sfmask, state.sfmask);
	EQUAL(u->kernel_gs_base, state.kernel_gs_base);
	EQUAL(u->inject & INJECT_VALID, 0);
	EQUAL(u->interruptibility, 0);
}

static void all_state(void)
{
	make_vm(boot_cpu, MTD_ALL);
	run(guest_hlt, state_check, state_start);
	EQUAL(vm.count, 1);
}

/* What a portal's MTD does not name is not told. */
static void poison(struct utcb *u, unsigned event)
{
	(void)event;
	EQUAL(u->mtd, 0);
	EQUAL(u->rax, 0xeeeeeeeeeeeeeeee);
	EQUAL(u->rflags, 0xeeeeeeeeeeeeeeee);
	EQUAL(u->cr0, 0xeeeeeeeeeeeeeeee);
}

static void poison_start(struct utcb *u, unsigned event)
{
	(void)event;
	/* The handler's next message is in this UTCB; this one is copied. */
	vm.rip[MAX_EXITS - 1] = u->mtd;
}

static void no_state(void)
{
	make_vm(boot_cpu, 0);
	vm.entry = guest_hlt;
	vm.exit = nothing;
	vm.reset = poison_start;
	/* Sleeps at its first HLT; then the UTCB is overwritten. */
	run(guest_hlt, nothing, poison_start);
	EQUAL(vm.count, 1);
	memset(vm.h->utcb->word, 0xee, sizeof(vm.h->utcb->word));
	vm.exit = poison;
	wake_vm();
	EQUAL(vm.count, 2);
}

/*
 * In the middle of an event its handler asks for more: that comes beside what is
 * there, and the recall that goes with it can be taken back.
 */
static void more_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->cs.rights = 0x9b;
	u->ss.rights = 0x93;
	u->ss.base = 0x4560;
	u->mtd |= MTD_CS_SS;
}

static void ask_more(struct utcb *u, unsigned event)
{
	uint64_t rip = u->rip;

	EQUAL(event, number(HLT));
	u->cs.rights = u->ss.rights = 0;
	EQUAL(vcpu_get_state(vm.ec, MTD_RIGHTS), SUCCESS);
	EQUAL(u->cs.rights & 0xf0, 0x90);
	EQUAL(u->ss.rights & 0xf0, 0x90);
	EQUAL(vcpu_get_state(vm.ec, MTD_CS_SS), SUCCESS);
	EQUAL(u->mtd, MTD_CS_SS);
	EQUAL(u->ss.base, 0x4560);
	EQUAL(u->rip, rip);
	u->mtd = 0;
	EQUAL(vcpu_set_state(vm.ec, vm.count == 1), SUCCESS);
	u->mtd = MTD_RIP_LEN;
	u->rip = guest_ip(guest_hlt);
	u->length = 0;
	vm.sleep = false;
	if (vm.count == 1)
		vm.exit = nothing;
}

static void more_state(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN);
	run(guest_hlt, ask_more, more_start);
	EQUAL(vm.count, 3);
	EQUAL(vm.event[1], number(HLT)); /* taken back */
	EQUAL(vm.event[2], EVENT_VCPU_RECALL);
}

/* The TSC's offset is added to, and reads as it is. */
static uint64_t host_before;

static void tsc_check(struct utcb *u, unsigned event)
{
	uint64_t guest = u->rdx << 32 | (u->rax & 0xffffffff);

	EQUAL(event, number(HLT));
	if (vm.count == 0) {
		CHECK(guest >= host_before && guest <= rdtsc());
		u->tsc_offset = 1ul << 50;
		u->rip = guest_ip(guest_rdtsc);
		u->length = 0;
		u->mtd = MTD_TSC | MTD_RIP_LEN;
		vm.sleep = false;
	} else {
		CHECK(u->tsc_offset <= 1ul << 50);
		CHECK(u->tsc_offset > (1ul << 50) - (rdtsc() - host_before));
		CHECK(guest > 1ul << 50);
	}
}

static void tsc(void)
{
	make_vm(boot_cpu, MTD_GPR_ACDB | MTD_TSC | MTD_RIP_LEN);
	host_before = rdtsc();
	run(guest_rdtsc, tsc_check, NULL);
	EQUAL(vm.count, 2);
}

static struct {
	uint64_t offset, guest;
} tsc_at[2];

static void tsc_note(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	if (vm.count < 2) {
		tsc_at[vm.count].offset = u->tsc_offset;
		tsc_at[vm.count].guest = u->rdx << 32 | (u->rax & 0xffffffff);
	}
	u->rip = guest_ip(guest_rdtsc);
	u->length = 0;
	u->mtd = MTD_RIP_LEN;
}

/* Keeps the CPU from a vCPU that is awake. */
static void keep(struct frame *f)
{
	f->value[0] = rdtsc();
	SETUP(sm_up(vm.wake));
	f->value[1] = rdtsc();
	spin_us(f->argument);
	f->value[2] = rdtsc();
}

/*
 * The time that a vCPU is ready and does not run is none of its TSC's, by as much
 * is the offset less; the time that it sleeps is. False: that was more than it was
 * kept, since the machine may also have been away when it was about to sleep.
 */
static bool tsc_stood(void)
{
	enum { WAIT_US = 20000 };
	struct frame *t;
	uint64_t less, end;

	make_vm(boot_cpu, MTD_GPR_ACDB | MTD_TSC | MTD_RIP_LEN);
	run(guest_rdtsc, tsc_note, NULL);
	EQUAL(vm.count, 1);
	spin_us(2 * WAIT_US);
	t = make_thread(SEL_ROOT_PD, boot_cpu, PRIORITY + 1, keep, WAIT_US);
	WAIT(vm.count == 2);
	end = rdtsc();
	less = tsc_at[0].offset - tsc_at[1].offset;
	CHECK(less >= t->value[2] - t->value[1]);
	CHECK(tsc_at[1].guest - tsc_at[1].offset >= t->value[2]);
	CHECK(tsc_at[1].guest - tsc_at[1].offset <= end);
	return less <= end - t->value[0];
}

static void tsc_stands(void)
{
	unsigned tries = 0;

	while (!tsc_stood() && ++tries < 20)
		clean();
	CHECK(tries < 20);
}

/* A guest's FPU registers are its own. */

static void fpu_check(struct utcb *u, unsigned event)
{
	static const uint8_t one[10] = {0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f};

	EQUAL(event, number(HLT));
	/* ST0 in the FXSAVE image. */
	CHECK(memcmp(u->fpu + 32, one, sizeof(one)) == 0);
	for (unsigned i = 160; i < 416; i++)
		EQUAL(u->fpu[i], 0);
}

static void fpu(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_FPU);
	fpu_fill(0x4242424242424242);
	run(guest_fpu, fpu_check, NULL);
	EQUAL(vm.count, 1);
	EQUAL(fpu_compare(0x4242424242424242), 0);
}

enum { SECRET = 0x5ec0de00, MOVES = 9 };

extern char guest_fill_dr[], guest_read_dr[];

static unsigned long exits_of[MAX_CPUS];

/* Its next event is to be another CPU's. */
static void send_to(struct utcb *u, unsigned long ec, unsigned cpu)
{
	uint64_t all = CRD(CRD_OBJ, RIGHTS_ALL, 8, 0);

	SETUP(revoke_remote(vm.pd, all));
	put_item(u, 0, all | exits_of[cpu] << 12, ITEM_DELEGATE);
	u->items = UTCB_ITEMS(0, 1);
	SETUP(delegate(SEL_ROOT_PD, all, vm.pd));
	u->items = 0;
	EQUAL(syscall_3(CALL_ID(CALL_EC_CTRL, EC_MIGRATE, ec), cpu, 0), SUCCESS);
}

/* Wherever it is, it has all its registers, and is sent to the next CPU. */
static void send_on(struct utcb *u, unsigned event)
{
	static const uint8_t one[10] = {0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f};

	EQUAL(event, number(HLT));
	CHECK(memcmp(u->fpu + 32, one, sizeof(one)) == 0);
	EQUAL(u->r15, SECRET + 2);
	EQUAL(u->star, SECRET + 3);
	EQUAL(u->sysenter_rsp, SECRET + 4);
	EQUAL(u->tsc_aux, vm.count ? SECRET + 1 : 0);
	for (unsigned n = 0; vm.count > 1 && n < 4; n++)
		EQUAL(*data(4 * n), SECRET);
	*data(0) = 0;
	u->rbx = SECRET;
	u->tsc_aux = SECRET + 1;
	u->rip = guest_ip(vm.count ? guest_read_dr : guest_fill_dr);
	u->length = 0;
	u->mtd = MTD_RIP_LEN | MTD_GPR_ACDB | MTD_TSC_AUX;
	vm.cpu = (vm.cpu + 1) % cpus;
	if (vm.count + 1 < MOVES) {
		send_to(u, vm.ec, vm.cpu);
		vm.sleep = false;
	}
}

static void travel_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->r15 = SECRET + 2;
	u->star = SECRET + 3;
	u->sysenter_rsp = SECRET + 4;
}

/* A vCPU goes round all CPUs, and all its registers with it. */
static void migrate(void)
{
	make_vm(boot_cpu, MTD_ALL | MTD_FPU);
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		exits_of[cpu] = make_exits(cpu);
	EQUAL(syscall_3(CALL_ID(CALL_EC_CTRL, EC_MIGRATE, vm.ec), boot_cpu, 0), BAD_CAPABILITY);
	run(guest_fpu, send_on, travel_start);
	WAIT(vm.count == MOVES);
	EQUAL(syscall_3(CALL_ID(CALL_EC_CTRL, EC_MIGRATE, vm.ec), cpus, 0), BAD_CPU);
}

static unsigned long root_limit(void)
{
	unsigned long limit, used;

	SETUP(pd_quota(SEL_ROOT_PD, &limit, &used));
	return limit;
}

/* To the next CPU at each exit; what it takes for that may go at any time. */
static void flee(struct utcb *u, unsigned event)
{
	uint64_t all = CRD(CRD_OBJ, RIGHTS_ALL, 8, 0);

	if (event != EVENT_VCPU_RECALL)
		EQUAL(event, number(HLT));
	vm.cpu = (vm.cpu + 1) % cpus;
	(void)!revoke_remote(vm.pd, all);
	put_item(u, 0, all | exits_of[vm.cpu] << 12, ITEM_DELEGATE);
	u->items = UTCB_ITEMS(0, 1);
	(void)!delegate(SEL_ROOT_PD, all, vm.pd);
	u->items = 0;
	(void)!syscall_3(CALL_ID(CALL_EC_CTRL, EC_MIGRATE, vm.ec), vm.cpu, 0);
	u->rip = guest_ip(guest_hlt);
	u->length = 0;
	u->mtd = MTD_RIP_LEN;
	vm.sleep = false;
}

enum { BY_EC, BY_SC, BY_PD, BY_PORTALS };

/* A vCPU that moves all the time is recalled from elsewhere, and ended. All comes back. */
static void end_on_the_move(unsigned by)
{
	enum { TIMES = 2, FEW_MOVES = 20 };

	for (unsigned i = 0; i < TIMES; i++) {
		make_vm(boot_cpu, MTD_RIP_LEN);
		unsigned long before = root_limit(), part[] = {vm.ec, vm.sc, vm.pd};

		for (unsigned cpu = 0; i == 0 && cpu < cpus; cpu++)
			exits_of[cpu] = make_exits(cpu);
		run(guest_hlt, flee, NULL);
		part[BY_SC] = vm.sc;
		WAIT(vm.count >= FEW_MOVES);
		for (unsigned n = 0; n < FEW_MOVES; n++)
			EQUAL(ec_recall(vm.ec), SUCCESS);
		if (by == BY_PORTALS)
			SETUP(revoke(CRD(CRD_OBJ, RIGHTS_ALL, 8, exits_of[i])));
		else
			SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, part[by])));
		quiesce();
		for (unsigned n = 0; n < BY_PORTALS; n++)
			SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, part[n])));
		WAIT(root_limit() == before + QUOTA);
	}
}

static void migrate_end_ec(void)
{
	end_on_the_move(BY_EC);
}

static void migrate_end_sc(void)
{
	end_on_the_move(BY_SC);
}

static void migrate_end_pd(void)
{
	end_on_the_move(BY_PD);
}

static void migrate_end_portals(void)
{
	end_on_the_move(BY_PORTALS);
}

/*
 * Two vCPUs have one handler, which sleeps while it has the first's exit. The second
 * waits, and what it waits to report it reports in the end, wherever that is.
 */
static unsigned long second, gate;

static void hold(struct utcb *u, unsigned event)
{
	(void)u, (void)event;
	EQUAL(sm_down(gate, 0), SUCCESS);
}

/* The first is held; the second has its startup before it, or a HLT. */
static void make_waiting(bool startup)
{
	make_vm(boot_cpu, MTD_RIP_LEN);
	gate = make_sm(0);
	second = sel();
	SETUP(create_vcpu(second, vm.pd, boot_cpu, 0));
	run(guest_hlt, nothing, NULL);
	if (!startup)
		SETUP(create_sc(sel(), SEL_ROOT_PD, second, QPD(PRIORITY, 1000)));
	vm.exit = hold;
	wake_vm();
	vm.exit = nothing;
	if (startup)
		SETUP(create_sc(sel(), SEL_ROOT_PD, second, QPD(PRIORITY, 1000)));
	else
		wake_vm();
	EQUAL(vm.count, startup ? 1 : 2);
}

static void waiting_is_seen(bool startup)
{
	unsigned event = startup ? EVENT_VCPU_STARTUP : number(HLT);

	make_waiting(startup);
	my_utcb->exit_reason = 0;
	EQUAL(vcpu_get_state(second, MTD_RIP_LEN), SUCCESS);
	EQUAL(my_utcb->exit_reason, event);
	EQUAL(syscall_3(CALL_ID(CALL_EC_CTRL, EC_RECALL, second), 1, 0), SUCCESS);
	EQUAL(my_utcb->exit_reason, event);
	SETUP(sm_up(gate));
	EQUAL(vm.count, startup ? 3 : 4);
	EQUAL(vm.last, number(HLT));
}

static void look_at_waiting(void)
{
	waiting_is_seen(true);
	clean();
	waiting_is_seen(false);
}

/* One that was not started has its startup before it as well. */
static void look_at_new(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN);
	EQUAL(vcpu_get_state(vm.ec, MTD_RIP_LEN), SUCCESS);
	EQUAL(my_utcb->exit_reason, EVENT_VCPU_STARTUP);
	run(guest_hlt, nothing, NULL);
	EQUAL(vm.count, 1);
	EQUAL(vm.last, number(HLT));
}

static void migrate_waiting(void)
{
	unsigned other = (boot_cpu + 1) % cpus;

	for (unsigned n = 0; n < 2; n++) {
		make_waiting(n == 0);
		exits_of[other] = make_exits(other);
		send_to(my_utcb, second, other);
		SETUP(sm_up(gate));
		WAIT(vm.count == 3 + n);
		EQUAL(vm.last, number(HLT));
		clean();
	}
}

/*
 * Another vCPU of this CPU is told its breakpoints, and does not run: debug registers
 * stay those of the one that does, though its state was touched meanwhile.
 */
static void debug_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->rbx = SECRET;
}

static void debug_read(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	u->rip = guest_ip(guest_read_dr);
	u->length = 0;
	u->mtd = MTD_RIP_LEN;
}

static void debug_others(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN);
	second = sel();
	SETUP(create_vcpu(second, vm.pd, boot_cpu, 0));
	run(guest_fill_dr, debug_read, debug_start);
	my_utcb->dr7 = 0x401;
	my_utcb->mtd = MTD_DR;
	EQUAL(vcpu_set_state(second, false), SUCCESS);
	my_utcb->mtd = 0;
	EQUAL(vcpu_set_state(vm.ec, false), SUCCESS);
	wake_vm();
	EQUAL(vm.count, 2);
	for (unsigned n = 0; n < 4; n++)
		EQUAL(*data(4 * n), SECRET);

	/* Nor has the other got what the first had. */
	vm.entry = guest_read_dr;
	SETUP(create_sc(sel(), SEL_ROOT_PD, second, QPD(PRIORITY, 1000)));
	EQUAL(vm.count, 3);
	for (unsigned n = 0; n < 4; n++)
		EQUAL(*data(4 * n), 0);
}

const struct test vcpu_state_tests[] = {
	{"vcpu.registers", registers, 0},
	{"vcpu.all_state", all_state, 0},
	{"vcpu.no_state", no_state, 0},
	{"vcpu.more_state", more_state, 0},
	{"vcpu.tsc", tsc, 0},
	{"vcpu.tsc_stands", tsc_stands, 0},
	{"vcpu.fpu", fpu, 0},
	{"vcpu.debug_others", debug_others, 0},
	{"vcpu.look_at_new", look_at_new, 0},
	{"vcpu.look_at_waiting", look_at_waiting, 0},
	{"vcpu.migrate", migrate, 2},
	{"vcpu.migrate_waiting", migrate_waiting, 2},
	{"vcpu.migrate_end_ec", migrate_end_ec, 2},
	{"vcpu.migrate_end_sc", migrate_end_sc, 2},
	{"vcpu.migrate_end_pd", migrate_end_pd, 2},
	{"vcpu.migrate_end_portals", migrate_end_portals, 2},
	{0},
};
