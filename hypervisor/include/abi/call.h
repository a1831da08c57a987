/*
 * Hypercalls: numbers, flags and status codes.
 *
 * SYSCALL with RDI = selector << 8 | flags << 4 | number, then RSI, RDX, RAX
 * and R8 as the call's register table in docs/abi.md says. The low byte of
 * RDI returns the status. RCX and R11 are clobbered.
 */
#pragma once

enum call {
	CALL_CALL = 0,
	CALL_REPLY = 1,
	CALL_CREATE_PD = 2,
	CALL_CREATE_EC = 3,
	CALL_CREATE_SC = 4,
	CALL_CREATE_PT = 5,
	CALL_CREATE_SM = 6,
	CALL_REVOKE = 7,
	CALL_MISC = 8,
	CALL_EC_CTRL = 9,
	CALL_SC_CTRL = 10,
	CALL_PT_CTRL = 11,
	CALL_SM_CTRL = 12,
	CALL_ASSIGN_PCI = 13,
	CALL_ASSIGN_GSI = 14,
	CALL_PD_CTRL = 15,
	CALLS = 16,
};

/* Flags, by call: the operation of a _ctrl call is in its flags. */
enum {
	FLAG_CALL_NONBLOCK = 1, /* TIMEOUT when the handler is busy */
	FLAG_EC_GLOBAL = 1,	/* can have an SC, as a vCPU must */

	FLAG_REVOKE_SELF = 1,	/* the range itself as well */
	FLAG_REVOKE_REMOTE = 2, /* the range of another PD */
	FLAG_REVOKE_KEEP = 4,	/* the range only, not what was derived */

	MISC_LOOKUP = 0,
	MISC_DELEGATE = 1,
	MISC_SUSPEND = 2,

	EC_RECALL = 0,
	EC_YIELD = 1,
	EC_HELP = 2,
	EC_RESCHEDULE = 3,
	EC_MIGRATE = 4,
	EC_TIME = 5,
	EC_GET_STATE = 6,
	EC_SET_STATE = 7,
	EC_MSR = 8,

	SC_TIME = 0,
	SC_TIME_CROSS = 1,
	SC_TIME_KILLED = 2,
	SC_TIME_EC = 3,

	SM_UP = 0,
	SM_DOWN = 1,
	FLAG_SM_ZERO = 2, /* with SM_DOWN: take the whole count */

	PD_TRANSFER = 0,
	PD_QUOTA = 2,

	FLAG_GSI_MODE = 4, /* the two bits below are valid */
	FLAG_GSI_LEVEL = 2,
	FLAG_GSI_LOW = 1,
};

enum status {
	SUCCESS = 0,
	TIMEOUT = 1, /* also: the handler is dead */
	ABORTED = 2, /* the handler died in this call */
	BAD_HYPERCALL = 3,
	BAD_CAPABILITY = 4,
	BAD_PARAMETER = 5,
	BAD_FEATURE = 6,
	BAD_CPU = 7,
	BAD_DEVICE = 8,
	OUT_OF_MEMORY = 9, /* of kernel memory: the PD's quota is used up */
};

/* First argument of a hypercall. */
#define CALL_ID(number, flags, selector) \
	((unsigned long)(selector) << 8 | (unsigned long)(flags) << 4 | (number))
