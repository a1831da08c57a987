/*
 * vCPUs: which exits there are, memory, ports, recall, and how they end.
 */
#include "vm.h"

enum { BASE = 0x1234000 };

extern char guest_write_bases[];

/* The first event is that of startup; without a portal it is the last. */
static void startup(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN);
	run(guest_hlt, nothing, NULL);
	EQUAL(vm.count, 1);
	EQUAL(vm.event[0], number(HLT));
	EQUAL(vm.rip[0], guest_ip(guest_hlt));

	unsigned long ec = sel();

	SETUP(create_vcpu(ec, vm.pd, boot_cpu, 0x1000));
	EQUAL(create_sc(sel(), SEL_ROOT_PD, ec, QPD(PRIORITY, 1000)), SUCCESS);
	EQUAL(vm.count, 1);
}

/* The CPU has let go of one that ended, which goes with its last capability: it stays so. */
static void state_ended(void)
{
	unsigned long ec;

	make_vm(boot_cpu, MTD_RIP_LEN);
	for (unsigned i = 0; i < 20; i++) {
		ec = sel();
		SETUP(create_vcpu(ec, vm.pd, boot_cpu, 0x1000));
		SETUP(create_sc(sel(), SEL_ROOT_PD, ec, QPD(PRIORITY, 1000)));
		EQUAL(vcpu_get_state(ec, MTD_RIP_LEN), BAD_CAPABILITY);
		my_utcb->mtd = MTD_RIP_LEN;
		EQUAL(vcpu_set_state(ec, false), BAD_CAPABILITY);
		EQUAL(syscall_3(CALL_ID(CALL_EC_CTRL, EC_RECALL, ec), 1, 0), TIMEOUT);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, ec)));
		quiesce();
	}
	run(guest_hlt, nothing, NULL);
	EQUAL(vm.count, 1);
}

/* Instructions, and where they end up. */
static const struct {
	const char *code;
	struct event event; /* 0: not on this vendor */
	unsigned length;
} kinds[] = {
	{guest_cpuid, {10, 0x72}, 2},  {guest_hlt, {12, 0x78}, 1},   {guest_vmcall, {18, 0}, 3},
	{guest_vmmcall, {0, 0x81}, 3}, {guest_in, {30, 0x7b}, 1},    {guest_out_imm, {30, 0x7b}, 2},
	{guest_rdmsr, {31, 0x7c}, 2},  {guest_wrmsr, {32, 0x7c}, 2}, {guest_read, {48, 0xfc}, 0},
	{guest_write, {48, 0xfc}, 0},
};

enum { KINDS = sizeof(kinds) / sizeof(*kinds) };
enum { ACCESS_WRITE = 2 }; /* in the qualification of a guest-physical fault, VMX and SVM */

static unsigned kind;

static void next_kind(void)
{
	do {
		kind++;
	} while (kind < KINDS && !number(kinds[kind].event));
}

static void check_kind(struct utcb *u, unsigned event)
{
	EQUAL(event, number(kinds[kind].event));
	EQUAL(u->rip, guest_ip(kinds[kind].code));
	if (!is_svm() && kinds[kind].length)
		EQUAL(u->length, kinds[kind].length);
	if (event == number(MEMORY)) {
		bool write = kinds[kind].code == guest_write;

		EQUAL(u->qual[0] & ACCESS_WRITE, write ? ACCESS_WRITE : 0);
		EQUAL(u->qual[1], GUEST_NONE + (write ? 0x10 : 0));
	}
	/* Of both vendors, and whatever it came from. */
	if (event == number(IO))
		EQUAL(u->qual[0] >> 16, kinds[kind].code == guest_in ? PORT : 0x80);
	next_kind();
	if (kind < KINDS) {
		u->rip = guest_ip(kinds[kind].code);
		u->length = 0;
		u->mtd = MTD_RIP_LEN;
		vm.sleep = false;
	}
}

static void exits(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_QUAL);
	kind = 0;
	run(kinds[0].code, check_kind, NULL);
	EQUAL(kind, KINDS);
	EQUAL(vm.count, KINDS - 1);
}

static void recalled(struct utcb *u, unsigned event)
{
	EQUAL(event, EVENT_VCPU_RECALL);
	CHECK(u->rip >= guest_ip(guest_spin) && u->rip < guest_ip(guest_spin_end));
	vm.sleep = false;
}

/*
 * A guest that runs on and on is stopped by a recall, from whichever CPU; not
 * having done anything, it runs on.
 */
static void recall_on(unsigned cpu)
{
	make_vm(cpu, MTD_RIP_LEN);
	run_on(guest_spin, recalled);
	for (unsigned i = 0; i < 20; i++) {
		uint32_t before;

		WAIT(*data(0) > 100);
		EQUAL(ec_recall(vm.ec), SUCCESS);
		WAIT(vm.count == i + 1);
		EQUAL(vm.last, EVENT_VCPU_RECALL);
		before = *data(0);
		WAIT(*data(0) != before);
	}
}

static void recall(void)
{
	recall_on(boot_cpu);
}

static void recall_other_cpu(void)
{
	recall_on(boot_cpu ? 0 : 1);
}

static void slept_recall(struct utcb *u, unsigned event)
{
	(void)u;
	if (vm.count == 0)
		EQUAL(event, number(HLT));
	else
		EQUAL(event, EVENT_VCPU_RECALL);
}

/* One whose handler sleeps for it is recalled before it runs again. */
static void recall_halted(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN);
	run(guest_hlt, slept_recall, NULL);
	EQUAL(vm.count, 1);
	EQUAL(ec_recall(vm.ec), SUCCESS);
	wake_vm();
	EQUAL(vm.count, 2);
}

/* Nothing is at the address: the reply brings the page. */
static void map_and_go(struct utcb *u, unsigned event)
{
	if (vm.count == 0) {
		EQUAL(event, number(MEMORY));
		put_item(u, 0, CRD(CRD_MEM, MEM_R | MEM_W, 0, page_number(page[5])),
			 ITEM(ITEM_DELEGATE, ITEM_GUEST, u->qual[1] / PAGE_SIZE));
		u->items = UTCB_ITEMS(0, 1);
		vm.sleep = false;
	} else {
		/* Behind the write is the next code. */
		EQUAL(event, number(HLT));
		EQUAL(page[5][0x10], 0x77);
	}
}

static void map_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->rax = 0x77;
}

static void map(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_QUAL);
	run(guest_write, map_and_go, map_start);
	EQUAL(vm.count, 2);
}

/* Memory that is not for guests is not there for this one. */
static void not_guest_memory(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_QUAL);
	SETUP(give_at(vm.pd, CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page[5])), ITEM_DELEGATE,
		      CRD(CRD_MEM, RIGHTS_ALL, 0, GUEST_NONE / PAGE_SIZE)));
	run(guest_read, nothing, NULL);
	EQUAL(vm.event[0], number(MEMORY));
}

/* Nor may it write what its PD may only read. */
static void read_only(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_QUAL);
	SETUP(give_at(vm.pd, CRD(CRD_MEM, MEM_R, 0, page_number(page[5])),
		      ITEM_DELEGATE | ITEM_GUEST,
		      CRD(CRD_MEM, RIGHTS_ALL, 0, GUEST_NONE / PAGE_SIZE)));
	run(guest_read, nothing, NULL);
	EQUAL(vm.event[0], number(MEMORY));
	EQUAL(vm.rip[0], guest_ip(guest_write));
}

/* Memory goes while the guest uses it: it exits, and sees nothing new. */
static void revoke_on(unsigned cpu)
{
	make_vm(cpu, MTD_RIP_LEN | MTD_QUAL);
	*data(0) = 1;
	run_on(guest_read_loop, nothing);
	WAIT(*(volatile uint32_t *)(page[0] + 0x1c) == 1);
	EQUAL(vm.count, 0);
	EQUAL(revoke(CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page[2]))), SUCCESS);
	*data(0) = 2;
	WAIT(vm.count == 1);
	EQUAL(vm.event[0], number(MEMORY));
	EQUAL(*(volatile uint32_t *)(page[0] + 0x1c), 1);
}

static void revoke_memory(void)
{
	revoke_on(boot_cpu);
}

static void revoke_other_cpu(void)
{
	revoke_on(boot_cpu ? 0 : 1);
}

/* Ports with G are the guest's own, the others exit. */
static void ports(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_QUAL);
	SETUP(give_at(vm.pd, CRD(CRD_PIO, PIO_ACCESS, 0, 0x3ff), ITEM_DELEGATE | ITEM_GUEST,
		      CRD(CRD_PIO, PIO_ACCESS, 16, 0)));
	run(guest_ports, nothing, NULL);
	EQUAL(vm.count, 1);
	EQUAL(vm.event[0], number(IO));
	EQUAL(vm.rip[0], guest_ip(guest_ports_exit));
}

/* The bases of FS and GS, and that which SWAPGS loads, are the guest's to read and to write. */
static void bases_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->rax = BASE;
}

static void bases_check(struct utcb *u, unsigned event)
{
	EQUAL(event, number(HLT));
	for (unsigned i = 0; i < 3; i++)
		EQUAL(*(volatile uint64_t *)data(8 * i), BASE);
	EQUAL(u->fs.base, BASE);
	EQUAL(u->gs.base, BASE);
	EQUAL(u->kernel_gs_base, BASE);
}

static void bases(void)
{
	make_vm(boot_cpu, MTD_RIP_LEN | MTD_FS_GS | MTD_SYSCALL);
	run(guest_write_bases, bases_check, bases_start);
	EQUAL(vm.count, 1);
}

/* An exception that the guest cannot take at all. */
static void triple_start(struct utcb *u, unsigned event)
{
	(void)event;
	u->idtr.limit = 0;
}

static void triple_fault(void)
{
	stops_bochs();
	make_vm(boot_cpu, MTD_RIP_LEN);
	run(guest_triple, nothing, triple_start);
	EQUAL(vm.count, 1);
	EQUAL(vm.event[0], number(TRIPLE));
}

/* A guest is destroyed while it runs, by its EC, SC or PD. */
static void destroy_on(unsigned cpu)
{
	for (unsigned i = 0; i < 6; i++) {
		uint32_t before;

		make_vm(cpu, MTD_RIP_LEN);
		*data(0) = 0;
		run_on(guest_spin, nothing);
		WAIT(*data(0) > 1000);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0,
				      i % 3 == 0   ? vm.ec
				      : i % 3 == 1 ? vm.sc
						   : vm.pd)));
		quiesce();
		before = *data(0);
		quiesce();
		EQUAL(*data(0), before);
		clean();
	}
}

static void destroyed(void)
{
	destroy_on(boot_cpu);
}

static void destroyed_other_cpu(void)
{
	destroy_on(boot_cpu ? 0 : 1);
}

/*
 * The state of one that sleeps is read and written from outside: what is
 * written it has when it runs again, whether recalled or not.
 */
static void state_outside(void)
{
	make_vm(boot_cpu, MTD_GPR | MTD_RIP_LEN);
	vm.sleep = true;
	run(guest_hlt, nothing, NULL);
	EQUAL(vm.count, 1);
	my_utcb->rip = my_utcb->rbx = my_utcb->mtd = my_utcb->exit_reason = 0;
	EQUAL(vcpu_get_state(vm.ec, MTD_GPR | MTD_RIP_LEN), SUCCESS);
	EQUAL(my_utcb->mtd, MTD_GPR | MTD_RIP_LEN);
	EQUAL(my_utcb->exit_reason, EVENT_VCPU_RECALL);
	EQUAL(my_utcb->rip, vm.rip[0]);
	my_utcb->rip = guest_ip(guest_hlt);
	my_utcb->rbx = 0xb0b;
	my_utcb->mtd = MTD_GPR | MTD_RIP_LEN;
	EQUAL(vcpu_set_state(vm.ec, false), SUCCESS);
	wake_vm();
	EQUAL(vm.count, 2);
	EQUAL(vm.last, number(HLT)); /* the recall was taken back */
	EQUAL(vm.h->utcb->rbx, 0xb0b);

	EQUAL(vcpu_get_state(vm.ec, MTD_RIP_LEN), SUCCESS);
	my_utcb->mtd = 0;
	EQUAL(vcpu_set_state(vm.ec, true), SUCCESS);
	wake_vm();
	EQUAL(vm.count, 3);
	EQUAL(vm.last, EVENT_VCPU_RECALL);

	/* Who only looks recalls it; and so does who only says so. */
	EQUAL(vcpu_get_state(vm.ec, 0), SUCCESS);
	wake_vm();
	EQUAL(vm.count, 4);
	EQUAL(vm.last, EVENT_VCPU_RECALL);
	EQUAL(vcpu_set_state(vm.ec, true), SUCCESS);
	wake_vm();
	EQUAL(vm.count, 5);
	EQUAL(vm.last, EVENT_VCPU_RECALL);
}

static void state_refused(void)
{
	EQUAL(vcpu_get_state(SEL_ROOT_EC, MTD_GPR), BAD_CAPABILITY);
	EQUAL(vcpu_set_state(SEL_ROOT_EC, false), BAD_CAPABILITY);
	make_vm(cpus - 1, MTD_RIP_LEN);
	run_on(guest_spin, nothing);
	WAIT(*data(0));
	if (cpus > 1 && cpus - 1 != boot_cpu) {
		EQUAL(vcpu_get_state(vm.ec, MTD_GPR), BAD_CPU);
		EQUAL(vcpu_set_state(vm.ec, false), BAD_CPU);
	}
	EQUAL(vcpu_get_state(with_rights(vm.ec, EC_BIND_SC), MTD_GPR), BAD_CAPABILITY);
}

/* Thousands of vCPUs one after the other; their memory comes back. */
static void churn(void)
{
	unsigned long s, before = 0;

	make_vm(boot_cpu, 0);
	s = sel();
	for (unsigned i = 0; i < 1000; i++) {
		EQUAL(create_vcpu(s, vm.pd, boot_cpu, 0), SUCCESS);
		SETUP(revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, s)));
		if (i % 16 == 15)
			quiesce();
		if (i == 100)
			before = usage_settled(vm.pd);
	}
	wait_usage(vm.pd, before);
}

/* Many vCPUs of one VM, which take turns. */
static void many(void)
{
	enum { N = 12 };
	unsigned long ec[N];

	make_vm(boot_cpu, MTD_RIP_LEN);
	vm.entry = guest_hlt;
	vm.exit = nothing;
	for (unsigned i = 0; i < N; i++) {
		ec[i] = sel();
		EQUAL(create_vcpu(ec[i], vm.pd, boot_cpu, 0), SUCCESS);
		EQUAL(create_sc(sel(), SEL_ROOT_PD, ec[i], QPD(PRIORITY, 1000)), SUCCESS);
		EQUAL(vm.count, i + 1);
	}
	for (unsigned i = 0; i < N; i++) {
		wake_vm();
		EQUAL(vm.count, N + i + 1);
	}
}

/* A guest that computes does so on, in the state that it was in. */
void suspend_vcpu(void)
{
	make_vm(cpus - 1, MTD_RIP_LEN);
	run_on(guest_spin, nothing);
	WAIT(*data(0));
	suspend_twice();
	uint32_t before = *data(0);

	WAIT(*data(0) != before);
	EQUAL(vm.count, 0);
}

const struct test vcpu_tests[] = {
	{"vcpu.startup", startup, 0},
	{"vcpu.exits", exits, 0},
	{"vcpu.recall", recall, 0},
	{"vcpu.state_outside", state_outside, 0},
	{"vcpu.state_refused", state_refused, 0},
	{"vcpu.state_ended", state_ended, 0},
	{"vcpu.recall_halted", recall_halted, 0},
	{"vcpu.recall_other_cpu", recall_other_cpu, 2},
	{"vcpu.map", map, 0},
	{"vcpu.not_guest_memory", not_guest_memory, 0},
	{"vcpu.read_only", read_only, 0},
	{"vcpu.revoke_memory", revoke_memory, 0},
	{"vcpu.revoke_other_cpu", revoke_other_cpu, 2},
	{"vcpu.ports", ports, 0},
	{"vcpu.bases", bases, 0},
	{"vcpu.triple_fault", triple_fault, 0},
	{"vcpu.destroyed", destroyed, 0},
	{"vcpu.destroyed_other_cpu", destroyed_other_cpu, 2},
	{"vcpu.churn", churn, 0},
	{"vcpu.many", many, 0},
	{0},
};
