/*
 * Every call, every status, every right: the topics, in their order.
 */
#include "test.h"

const unsigned often = 1;

const struct test *const topics[] = {
	boot_tests,
	create_tests,
	churn_tests,
	call_tests,
	reply_tests,
	status_tests,
	semaphore_tests,
	delegate_tests,
	ports_tests,
	items_tests,
	translate_tests,
	revoke_tests,
	exception_tests,
	storm_tests,
	recall_tests,
	schedule_tests,
	time_tests,
	gsi_tests,
	quota_tests,
	fpu_tests,
	smp_tests,
	remote_tests,
	signal_tests,
	control_tests,
	oom_tests,
	vcpu_tests,
	vcpu_state_tests,
	vcpu_inject_tests,
	vcpu_hostile_tests,
	leak_tests,
	hostile_tests,
	/* These have the machine sleep: they are the last. */
	matrix_tests,
	suspend_tests,
	NULL,
};
