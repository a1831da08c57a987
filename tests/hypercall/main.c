/*
 * Runs the tests and reports. A line a test, "test: NAME ok", or FAIL or ERROR
 * with what was found where; the last line counts.
 */
#include "ecs.h"
#include "test.h"

enum {
	LIMIT_S = 300, /* for a test, where it takes seconds */
	PRIORITY_WATCHDOG = 127,
};

/* What went wrong first in this test. */
static struct {
	bool noted, error;
	const char *file, *text;
	int line;
	uint64_t is, expected;
} wrong;

static const char *skipped;
static const struct test *volatile current;
static volatile unsigned tests_run;
static unsigned passed, failed;

_Noreturn void test_main(unsigned long cpu, const struct hip *page);

void test_failed(bool error, const char *file, int line, const char *text, uint64_t is,
		 uint64_t expected)
{
	if (!wrong.noted) {
		wrong.error = error;
		wrong.file = file;
		wrong.line = line;
		wrong.text = text;
		wrong.is = is;
		wrong.expected = expected;
		wrong.noted = true;
	}
	if (is_main())
		test_abandon();
}

void test_skip(const char *why)
{
	skipped = why;
	test_abandon();
}

static const char *file_name(const char *path)
{
	const char *name = path;

	for (; *path; path++)
		if (*path == '/')
			name = path + 1;
	return name;
}

static void report(void)
{
	if (wrong.noted) {
		say("test: %s %s %s:%d: %s is %#lx, expected %#lx\n", current->name,
		    wrong.error ? "ERROR" : "FAIL", file_name(wrong.file), wrong.line, wrong.text,
		    wrong.is, wrong.expected);
		failed++;
	} else if (skipped) {
		say("test: %s skipped: %s\n", current->name, skipped);
	} else {
		say("test: %s ok\n", current->name);
		passed++;
	}
}

static void run(const struct test *t)
{
	wrong.noted = false;
	skipped = NULL;
	current = t;
	tests_run++;
	test_enter(t->run);
	clean();
	report();
}

static void done(void)
{
	say("test: done %u passed, %u failed\n", passed, failed);
	machine_end(!failed);
}

/* Should the main thread hang, the rest is not run. */
static void watchdog(struct frame *f)
{
	unsigned last = 0, seconds = 0;

	(void)f;
	while (seconds < LIMIT_S * often) {
		sleep_us(1000000);
		seconds = tests_run == last ? seconds + 1 : 0;
		last = tests_run;
	}
	say("test: %s FAIL: no end after %u s\n", current->name, seconds);
	failed++;
	done();
}

static void start(void)
{
	ecs_init();
	ecs_watchdog(watchdog, PRIORITY_WATCHDOG);
}

static const struct test start_up = {"start", start, 0};

void test_main(unsigned long cpu, const struct hip *page_)
{
	hip = page_;
	boot_cpu = (unsigned)cpu;
	machine_init();
	say("test: %u CPUs, %s\n", cpus,
	    hip->features & HIP_VMX   ? "VMX"
	    : hip->features & HIP_SVM ? "SVM"
				      : "no virtualisation");
	current = &start_up;
	test_enter(start);
	if (wrong.noted) {
		report();
		done();
	}
	for (unsigned i = 0; topics[i]; i++) {
		for (const struct test *t = topics[i]; t->name; t++)
			if (cpus >= t->cpus)
				run(t);
	}
	done();
	for (;;) {
	}
}
