/*
 * Tests of the kernel interface: a bare program that boots in the place of the
 * root task.
 *
 * A test is a function. It uses selectors from sel(), ECs and PDs from the
 * make_ functions, and cleans up nothing: after each test all that it made is
 * revoked. What the kernel does wrong is a failure (CHECK, EQUAL); what the
 * test cannot do that it needs is an error (SETUP). Both end the test at once
 * if the main thread finds them, and are noted if another EC does.
 *
 * Main thread: root's own EC, priority 1, boot CPU. Its exceptions, and those
 * of all ECs that the make_ functions make, go to one handler a CPU; a fault in
 * one of the probe_ functions is what they return, any other is a failure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <abi/hip.h>
#include <lib/syscall.h>

struct test {
	const char *name;
	void (*run)(void);
	unsigned cpus; /* not run with fewer; 0: any number */
};

/* By topic, each ended by one without a name. */
extern const struct test boot_tests[], call_tests[], reply_tests[], create_tests[], churn_tests[],
	delegate_tests[], ports_tests[], items_tests[], translate_tests[], revoke_tests[],
	semaphore_tests[], exception_tests[], recall_tests[], schedule_tests[], time_tests[],
	gsi_tests[], quota_tests[], fpu_tests[], smp_tests[], remote_tests[], signal_tests[],
	control_tests[], oom_tests[], vcpu_tests[], vcpu_state_tests[], vcpu_inject_tests[],
	vcpu_hostile_tests[], leak_tests[], hostile_tests[], matrix_tests[], storm_tests[],
	status_tests[], suspend_tests[];
/* Those of this program, ended by NULL. */
extern const struct test *const topics[];
/* What is done thousands of times is done so many times that, in this program. */
extern const unsigned often;

/* Results */

void test_failed(bool error, const char *file, int line, const char *text, uint64_t is,
		 uint64_t expected);
/* This test says nothing on this machine. Does not return. */
_Noreturn void test_skip(const char *why);

static inline void test_equal(bool error, const char *file, int line, const char *text, uint64_t is,
			      uint64_t expected)
{
	if (is != expected)
		test_failed(error, file, line, text, is, expected);
}

/* The subject is wrong unless ... */
#define CHECK(x) test_equal(false, __FILE__, __LINE__, #x, !!(x), 1)
#define EQUAL(is, expected) \
	test_equal(false, __FILE__, __LINE__, #is, (uint64_t)(is), (uint64_t)(expected))
/* The test is wrong unless this succeeds. */
#define SETUP(x) test_equal(true, __FILE__, __LINE__, #x, (x), SUCCESS)
#define NEED(x)	 test_equal(true, __FILE__, __LINE__, #x, !!(x), 1)

/* The machine */

extern const struct hip *hip;
extern unsigned boot_cpu;
extern unsigned cpus; /* CPUs are 0 to cpus - 1 */

enum { MAX_CPUS = 8 };

void machine_init(void);
[[gnu::format(printf, 1, 2)]] void say(const char *format, ...);
/* Leave the emulator, if it offers that. */
_Noreturn void machine_end(bool good);

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline uint64_t tsc_of_us(uint64_t us)
{
	return us * hip->tsc_khz / 1000;
}

/* The time in so many microseconds. */
static inline uint64_t in_us(uint64_t us)
{
	return rdtsc() + tsc_of_us(us);
}

/* Use the processor for so long. */
static inline void spin_us(uint64_t us)
{
	uint64_t end = in_us(us);

	while (rdtsc() < end)
		__asm__ volatile("pause");
}

/* Any EC with an SC: sleep. */
void sleep_us(uint64_t us);

/*
 * Machines are slow, and emulated processors are away for any time at any
 * moment. So a test does not sleep until something has happened, nor says how
 * soon it must: it waits for it, for LONG_US if it must fail, and where
 * something must not happen it lets everybody have his turn with quiesce().
 */
enum { LONG_US = 30000000 };

/* Sleep until the condition holds; a failure if it does not. */
#define WAIT(x)                                                                      \
	do {                                                                         \
		for (unsigned wait_n = 0; wait_n < LONG_US / 1000 && !(x); wait_n++) \
			sleep_us(1000);                                              \
		CHECK(x);                                                            \
	} while (0)

/*
 * The main thread's: all that can happen now has happened. On each CPU a thread
 * of the lowest priority has run, and memory that was to be freed is free,
 * several times over.
 */
void quiesce(void);
/* Once, on one CPU: all that run there have had a turn. */
void take_turn(unsigned cpu);

/* Selectors and addresses */

enum {
	SEL_EVENTS = 0x400,    /* + 32 * CPU: portals of the common handlers */
	SEL_EVENT_ECS = 0x600, /* + CPU */
	SEL_FOREVER = 0x610,   /* an SM that nobody ups */
	SEL_WATCHDOG = 0x620,
	SEL_SETTLE = 0x640, /* + 8 * CPU */
	SEL_TEST = 0x1000,  /* to 0x1fff: sel() */
	SEL_TEST_ORDER = 12,
	SEL_MANY = 0x10000, /* to 0x1ffff: for whoever needs many */
	SEL_MANY_ORDER = 16,
};

/* A selector that is free, until the end of the test. */
unsigned long sel(void);
/* 2^order of them, aligned. */
unsigned long sel_range(unsigned order);

/* Addresses where nothing is, page-aligned; each is given once. */
unsigned long free_pages(unsigned order);

/* Pages of the image, readable and writable, for tests to give away. */
enum { PAGES = 16 };
extern uint8_t page[PAGES][PAGE_SIZE];

static inline unsigned long page_number(const volatile void *p)
{
	return (unsigned long)p / PAGE_SIZE;
}

/* ECs */

/*
 * At an EC's first stack pointer, in memory that all PDs made here share.
 * start.S knows the first four.
 */
struct frame {
	void (*function)(struct frame *f); /* what it does; may be NULL */
	unsigned long id;		   /* of the portal it was called by */
	unsigned long reply;		   /* selector for sys_reply */
	struct utcb *utcb;		   /* in its PD */

	unsigned long argument;
	uint64_t items;		      /* header of the message received */
	uint64_t translate, delegate; /* windows after the next reply */
	volatile uint64_t value[8];   /* the test's */

	unsigned long ec, sc, pd; /* selectors */
	unsigned long pt;	  /* the servant's portal */
	unsigned cpu;
};

typedef void function(struct frame *f);

/* The main thread's own UTCB. */
#define my_utcb ((struct utcb *)ROOT_UTCB)

/* A handler; the UTCB's items are 0 when `function` starts. */
struct frame *make_handler(unsigned long pd, unsigned cpu, function *run);
/* The same, with its events elsewhere than at the common handler. */
struct frame *make_handler_events(unsigned long pd, unsigned cpu, function *run,
				  unsigned long events);
/* A portal to it, with `id`. */
unsigned long make_portal(const struct frame *handler, unsigned long mtd, unsigned long id);
/* A thread, started; it ends when `function` returns. */
struct frame *make_thread(unsigned long pd, unsigned cpu, unsigned priority, function *run,
			  unsigned long argument);
/* Not started: no SC yet. */
struct frame *make_idle_thread(unsigned long pd, unsigned cpu, function *run,
			       unsigned long argument, unsigned long events);
void start_thread(struct frame *f, unsigned priority, unsigned quantum_us);
/* The event base for ECs in pd on a CPU, as the functions above take it. */
unsigned long common_events(unsigned long pd, unsigned cpu);
/*
 * At an event base of the test's own: the common handler's portal for the start;
 * that, and one to a handler of the same CPU for recalls.
 */
void give_startup(unsigned long base, unsigned cpu);
void give_recall(unsigned long base, const struct frame *handler);

/* All of a thread's events, to be at a base, go to a handler, with their number as id. */
void event_portals(unsigned long base, const struct frame *handler, unsigned long mtd);
/* A base with the boot CPU's common events, but those of the mask go to a portal. */
unsigned long events_replaced(uint64_t mask, unsigned long pt);
/*
 * Such a handler: the thread begins at f->argument. With its next event, told in
 * value[0] and its RIP in value[1], it stops.
 */
void start_at(struct frame *f);

unsigned long make_sm(unsigned long count);

enum { QUOTA = 80 };

/*
 * A PD that has the image at the same addresses, with all its rights, and the
 * common event portals from selector 0 on.
 */
unsigned long make_pd(void);
unsigned long make_pd_quota(unsigned long owner, unsigned quota);
/* One without image. */
unsigned long make_empty_pd(unsigned quota);

/* What a servant's UTCB lets in. */
void open_windows(struct frame *servant, uint64_t translate, uint64_t delegate);

/* Set the main thread's one typed item. */
void set_item(uint64_t crd, uint64_t how);
void put_item(struct utcb *u, unsigned i, uint64_t crd, uint64_t how);
uint64_t item_crd(const struct utcb *u, unsigned i);
uint64_t item_how(const struct utcb *u, unsigned i);

/* From root to pd, at the same place; the order's window. */
enum status give(unsigned long pd, uint64_t crd);
/* From root to pd: what of it goes to the window. */
enum status give_at(unsigned long pd, uint64_t crd, uint64_t how, uint64_t window);
/* The kernel's, to root. */
enum status take(uint64_t crd, uint64_t how, uint64_t window);
/* A second capability of root's own, with fewer rights. */
unsigned long with_rights(unsigned long object, unsigned rights);
/* The main thread's: what it has at base; 0 if nothing. */
uint64_t look(uint64_t crd);

/* 2^order pages of RAM that nobody uses: physical address; 0: none. */
uint64_t free_ram(unsigned order);

/* start.S: true memory accesses. 0, or FAULT(vector). */
#define FAULT(vector) (1u + (vector))
unsigned probe_read(const volatile void *address, uint64_t *value);
unsigned probe_write(volatile void *address, uint64_t value);
unsigned probe_in(unsigned port, uint64_t *value);
unsigned probe_out(unsigned port, uint64_t value);
/* To execute there: xor %eax, %eax; ret. */
unsigned probe_execute(const void *address);
unsigned probe_ud(void);
unsigned probe_call(void (*f)(void));	    /* f: of a single instruction */
unsigned probe_segments(unsigned selector); /* into DS, ES, FS, GS */

enum {
	RFLAGS_CF = 1 << 0,
	RFLAGS_1 = 1 << 1, /* always */
	RFLAGS_TF = 1 << 8,
	RFLAGS_IF = 1 << 9,
	RFLAGS_IOPL = 3 << 12,
	RFLAGS_RF = 1 << 16,
	RFLAGS_VM = 1 << 17,
	RFLAGS_VIF = 1 << 19,
	RFLAGS_VIP = 1 << 20,
};

enum {
	VECTOR_DE = 0,
	VECTOR_DB = 1,
	VECTOR_BP = 3,
	VECTOR_UD = 6,
	VECTOR_SS = 12,
	VECTOR_GP = 13,
	VECTOR_PF = 14,
	VECTOR_MF = 16,
	VECTOR_AC = 17,
	VECTOR_XM = 19,
};

/* The last fault of a probe, by CPU. */
struct fault {
	uint64_t error, address;
};
extern struct fault last_fault[MAX_CPUS];

/* start.S: a hypercall with all registers, in and out. */
struct registers {
	uint64_t rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, rflags;
};
void syscall_registers(struct registers *r);

/* start.S: entries for create_pt and for new threads. */
extern const char entry_portal[], entry_thread[];

/* Handlers that many tests use. */

/* Sends back what came, without items. */
void echo(struct frame *f);

/*
 * A servant does what ask() says, in its PD: a probe's or lookup's result or a
 * status comes back, and more in my_utcb->word[1] and on. Of a message with an
 * item it keeps in value[] the header, the item's CRD and its second word.
 */
enum servant_op {
	OP_NOTHING,
	OP_READ,    /* address; also value in word[1] */
	OP_WRITE,   /* address, value */
	OP_EXECUTE, /* address */
	OP_IN,	    /* port; value in word[1] */
	OP_OUT,	    /* port, value */
	OP_LOOKUP,  /* CRD; result in word[0] */
	OP_CALL,    /* RDI, RSI, RDX, RAX, R8: a hypercall */
	OP_SEND,    /* back, as item 0: CRD, how */
	OP_ITEM,    /* into its UTCB, for OP_CALL: CRD, how */
};

/* On the boot CPU. */
struct frame *make_servant(unsigned long pd);
uint64_t ask(const struct frame *servant, enum servant_op op, uint64_t a, uint64_t b);
uint64_t ask_call(const struct frame *servant, uint64_t rdi, uint64_t rsi, uint64_t rdx,
		  uint64_t rax, uint64_t r8);
/* Send it an item; it says what came. */
void send_item(struct frame *servant, uint64_t crd, uint64_t how);

/* Until the end of the test: an EC that has an exception just stops. */
extern volatile bool may_fault;

/* gsi.c: the semaphore of an interrupt; a clock that ticks 64 times a second. */
unsigned long gsi_sm(unsigned gsi);
void rtc_start(void), rtc_stop(void);

/* suspend.c: sleep until an alarm. vcpu.c: with a guest that runs meanwhile. */
void suspend_twice(void);
void suspend_vcpu(void);

/* code.S: all FPU registers; how many of them are not so. */
void fpu_fill(uint64_t with);
uint64_t fpu_compare(uint64_t with);

/* What the end of a test does: all that was made goes. For rounds of one. */
void clean(void);

/* Kernel memory that a PD uses; when all that is being freed is free. */
unsigned long usage(unsigned long pd);
unsigned long usage_settled(unsigned long pd);
/* All of a PD's memory goes into page tables; and the page that may be left into semaphores. */
void use_up_tables(unsigned long pd);
void use_up_all(unsigned long pd);
/* Until it is so. */
void wait_usage(unsigned long pd, unsigned long pages);
