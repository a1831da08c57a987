/*
 * Hypercalls, calls, semaphores and exceptions on one CPU.
 */
#include "bench.h"

enum {
	NOTHING_THERE = 0x180, /* a selector that is always empty */
	EXPIRE_TICKS = 100000, /* until a deadline */
};

static void measure_call(const char *name, unsigned long pt, unsigned words)
{
	my_utcb->items = words;
	MEASURE(name, SAMPLES, SUCCESS, , call(pt), );
}

static uint64_t call_with_page(unsigned long pt)
{
	set_item(CRD(CRD_MEM, MEM_R | MEM_W, 0, page_number(page[0])), ITEM_DELEGATE);
	return call(pt);
}

void bench_ipc(void)
{
	struct frame *local = make_handler(SEL_ROOT_PD, boot_cpu, NULL);
	struct frame *remote = make_servant(make_pd_quota(SEL_ROOT_PD, BIG_QUOTA));
	unsigned long here = make_stub(local, 0, stub_echo);
	unsigned long there = make_stub(remote, 0, stub_echo);
	unsigned long take_pt = make_stub(remote, 0, stub_take);
	unsigned long window = page_number((void *)free_pages(0));

	MEASURE("hypercall_bad_selector", SAMPLES, BAD_CAPABILITY, , sm_up(NOTHING_THERE), );
	measure_call("call_local_0", here, 0);
	measure_call("call_local_1", here, 1);
	measure_call("call_local_8", here, 8);
	measure_call("call_local_64", here, 64);
	measure_call("call_local_all", here, UTCB_WORDS);
	measure_call("call_remote_0", there, 0);
	measure_call("call_remote_8", there, 8);
	measure_call("call_remote_64", there, 64);
	measure_call("call_remote_all", there, UTCB_WORDS);
	open_windows(remote, 0, CRD(CRD_MEM, MEM_R | MEM_W, 0, window));
	MEASURE("call_remote_delegate_4k", SAMPLES, SUCCESS, , call_with_page(take_pt),
		(void)!revoke(CRD(CRD_MEM, RIGHTS_ALL, 0, page_number(page[0]))));
}

/* Waits; it runs as soon as it is woken, and waits again. */
static void peer(struct frame *f)
{
	while (sm_down(f->argument, 0) == SUCCESS) {
	}
}

static void measure_expiry(void)
{
	for (unsigned i = 0; i < rounds(SAMPLES); i++) {
		uint64_t deadline = clock() + EXPIRE_TICKS;
		enum status status;

		if (traced(i, SAMPLES))
			trace_mark();
		status = sm_down(SEL_FOREVER, deadline);
		record(i, clock() - deadline);
		if (traced(i, SAMPLES))
			trace_mark();
		if (status != TIMEOUT) {
			report_failed("timeout_expiry", status);
			return;
		}
	}
	report("timeout_expiry");
}

void bench_semaphore(void)
{
	unsigned long sm = make_sm(0), wake = make_sm(0);

	MEASURE("sm_up", SAMPLES, SUCCESS, , sm_up(sm), (void)!sm_down(sm, 0));
	MEASURE("sm_down", SAMPLES, SUCCESS, (void)!sm_up(sm), sm_down(sm, 0), );
	make_thread(SEL_ROOT_PD, boot_cpu, PRIORITY_PEER, peer, wake);
	MEASURE("sm_wake_and_back", SAMPLES, SUCCESS, , sm_up(wake), );
	measure_expiry();
}

/* Exceptions of a thread that has portals of its own for them. */

static void faulting(struct frame *f)
{
	uint64_t at = f->value[1];
	unsigned long crd = CRD(CRD_MEM, RIGHTS_ALL, 0, at / PAGE_SIZE);

	if (f->argument == VECTOR_UD) {
		MEASURE("exception_ud", SAMPLES, SUCCESS, , fault_ud(0), );
	} else if (f->value[2]) {
		MEASURE("page_fault_map", SAMPLES, SUCCESS, , fault_read(at),
			(void)!revoke_self(crd));
	} else {
		MEASURE("page_fault_skip", SAMPLES, SUCCESS, , fault_read(at), );
	}
	SETUP(sm_up(f->value[0]));
}

/* The common handler's portals at other selectors, all but one. */
static void copy_events(unsigned long to, unsigned but)
{
	unsigned long from = common_events(SEL_ROOT_PD, boot_cpu);

	for (unsigned i = 0; i < EVENTS_THREAD; i++) {
		if (i != but) {
			SETUP(give_at(SEL_ROOT_PD, CRD(CRD_OBJ, RIGHTS_ALL, 0, from + i),
				      ITEM_DELEGATE, CRD(CRD_OBJ, RIGHTS_ALL, 0, to + i)));
		}
	}
}

static void measure_fault(unsigned vector, const char *stub)
{
	unsigned long events = sel_range(5), at = free_pages(0);
	unsigned long done = make_sm(0);
	struct frame *h = make_handler(SEL_ROOT_PD, boot_cpu, NULL);
	struct frame *t = make_idle_thread(SEL_ROOT_PD, boot_cpu, faulting, vector, events);

	copy_events(events, vector);
	SETUP(create_pt(events + vector, SEL_ROOT_PD, h->ec, MTD_RIP_LEN, (unsigned long)stub));
	put_item(h->utcb, 0, CRD(CRD_MEM, MEM_R | MEM_W, 0, page_number(page[0])),
		 ITEM(ITEM_DELEGATE, 0, at / PAGE_SIZE));
	t->value[0] = done;
	t->value[1] = at;
	t->value[2] = stub == stub_map;
	start_thread(t, PRIORITY_PEER, 10000);
	SETUP(sm_down(done, 0));
}

void bench_exception(void)
{
	measure_fault(VECTOR_UD, stub_skip_2);
	measure_fault(VECTOR_PF, stub_skip_3);
	measure_fault(VECTOR_PF, stub_map);
}
