/*
 * Event numbers: the portal of an event is at the EC's event base plus its
 * number. For a thread, an exception's number is its vector.
 */
#pragma once

enum {
	EVENT_THREAD_STARTUP = 0x1e,
	EVENT_THREAD_RECALL = 0x1f,
	EVENTS_THREAD = 32,

	/* vCPU on VMX: the basic exit reason (SDM 3D appendix C), and: */
	/* vCPU on SVM: the exit code (APM 2 appendix C), and: */
	EVENT_SVM_OTHER = 0xfb,	  /* any code above 0xff */
	EVENT_SVM_NPF = 0xfc,	  /* nested page fault */
	EVENT_SVM_INVALID = 0xfd, /* invalid guest state */
	EVENT_VCPU_STARTUP = 0xfe,
	EVENT_VCPU_RECALL = 0xff,
	EVENTS_VCPU = 256,
};
