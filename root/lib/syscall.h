/*
 * One function a hypercall. The register use and every status are in
 * docs/abi.md; rights, CRDs and items in abi/crd.h.
 *
 * Only the low byte of RDI is a status: a kernel may leave the rest of the
 * register as it was. A new object appears at the selector `sel`, which must
 * be empty; `pd` is the PD that pays for it, and in which an EC runs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <abi/call.h>
#include <abi/crd.h>
#include <abi/event.h>
#include <abi/utcb.h>

#define PAGE_SIZE 4096ul

/* The registers of a call beside RDI; a call may change them. */
struct syscall {
	unsigned long rsi, rdx, rax, r8;
};

[[nodiscard]] static inline enum status syscall_5(unsigned long id, struct syscall *s)
{
	register unsigned long r8 __asm__("r8") = s->r8;

	__asm__ volatile("syscall"
			 : "+D"(id), "+S"(s->rsi), "+d"(s->rdx), "+a"(s->rax), "+r"(r8)
			 :
			 : "rcx", "r11", "memory");
	s->r8 = r8;
	return (enum status)(id & 0xff);
}

[[nodiscard]] static inline enum status syscall_3(unsigned long id, unsigned long rsi,
						  unsigned long rdx)
{
	__asm__ volatile("syscall" : "+D"(id), "+S"(rsi), "+d"(rdx) : : "rcx", "r11", "memory");
	return (enum status)(id & 0xff);
}

/* The message is in the caller's UTCB, and the answer, when it returns. */
[[nodiscard]] static inline enum status call(unsigned long pt)
{
	return syscall_3(CALL_ID(CALL_CALL, 0, pt), 0, 0);
}

/* TIMEOUT when the handler is busy. */
[[nodiscard]] static inline enum status call_nonblock(unsigned long pt)
{
	return syscall_3(CALL_ID(CALL_CALL, FLAG_CALL_NONBLOCK, pt), 0, 0);
}

/*
 * quota: pages of kernel memory, taken from pd's. objects: CRD of object
 * capabilities to hand over (hotspot 0), or 0.
 */
[[nodiscard]] static inline enum status create_pd(unsigned long sel, unsigned long pd,
						  unsigned long objects, uint32_t quota)
{
	struct syscall s = {pd, objects, (unsigned long)quota << 32 | 1, 0};

	return syscall_5(CALL_ID(CALL_CREATE_PD, 0, sel), &s);
}

enum ec_kind {
	EC_LOCAL = 0,		    /* runs on its callers' SCs */
	EC_GLOBAL = FLAG_EC_GLOBAL, /* has an SC */
};

/*
 * utcb: the address in pd at which the EC's UTCB appears, page-aligned.
 * sp: its initial stack pointer. events: its event base (in pd).
 */
[[nodiscard]] static inline enum status create_ec(unsigned long sel, unsigned long pd,
						  enum ec_kind kind, unsigned long utcb,
						  unsigned cpu, unsigned long sp,
						  unsigned long events)
{
	struct syscall s = {pd, utcb | cpu, sp, events};

	return syscall_5(CALL_ID(CALL_CREATE_EC, kind, sel), &s);
}

/* Runs once it has an SC; its first event is EVENT_VCPU_STARTUP. */
[[nodiscard]] static inline enum status create_vcpu(unsigned long sel, unsigned long pd,
						    unsigned cpu, unsigned long events)
{
	return create_ec(sel, pd, EC_GLOBAL, 0, cpu, 0, events);
}

/* qpd: QPD(priority, quantum in microseconds). */
[[nodiscard]] static inline enum status create_sc(unsigned long sel, unsigned long pd,
						  unsigned long ec, unsigned long qpd)
{
	struct syscall s = {pd, ec, qpd, 0};

	return syscall_5(CALL_ID(CALL_CREATE_SC, 0, sel), &s);
}

/* ec: a local one. The id is 0 until pt_ctrl. */
[[nodiscard]] static inline enum status create_pt(unsigned long sel, unsigned long pd,
						  unsigned long ec, unsigned long mtd,
						  unsigned long ip)
{
	struct syscall s = {pd, ec, mtd, ip};

	return syscall_5(CALL_ID(CALL_CREATE_PT, 0, sel), &s);
}

[[nodiscard]] static inline enum status create_sm(unsigned long sel, unsigned long pd,
						  unsigned long count)
{
	struct syscall s = {pd, count, 0, 0};

	return syscall_5(CALL_ID(CALL_CREATE_SM, 0, sel), &s);
}

/* A signal with a value, chained to the semaphore sm. */
[[nodiscard]] static inline enum status create_signal(unsigned long sel, unsigned long pd,
						      unsigned long value, unsigned long sm)
{
	struct syscall s = {pd, value, sm, 0};

	return syscall_5(CALL_ID(CALL_CREATE_SM, 0, sel), &s);
}

/* Take the CRD's rights from all that was derived from its range. */
[[nodiscard]] static inline enum status revoke(unsigned long crd)
{
	return syscall_3(CALL_ID(CALL_REVOKE, 0, 0), crd, 0);
}

/* And from the range itself. */
[[nodiscard]] static inline enum status revoke_self(unsigned long crd)
{
	return syscall_3(CALL_ID(CALL_REVOKE, FLAG_REVOKE_SELF, 0), crd, 0);
}

/* The same, of another PD's range. */
[[nodiscard]] static inline enum status revoke_remote(unsigned long pd, unsigned long crd)
{
	return syscall_3(CALL_ID(CALL_REVOKE, FLAG_REVOKE_SELF | FLAG_REVOKE_REMOTE, 0), crd, pd);
}

/* All rights, from the range alone. */
[[nodiscard]] static inline enum status revoke_keep(unsigned long crd)
{
	return syscall_3(CALL_ID(CALL_REVOKE, FLAG_REVOKE_KEEP, 0), crd, 0);
}

/* *crd: what to find the base of; out: the capability's CRD, or 0. */
[[nodiscard]] static inline enum status lookup(unsigned long *crd)
{
	struct syscall s = {*crd, 0, 0, 0};
	enum status status = syscall_5(CALL_ID(CALL_MISC, MISC_LOOKUP, 0), &s);

	*crd = s.rsi;
	return status;
}

/*
 * Delegate the items in the caller's UTCB from one PD to another; window: what
 * may arrive in it. See message.h for the items.
 */
[[nodiscard]] static inline enum status delegate(unsigned long from, unsigned long window,
						 unsigned long to)
{
	return syscall_3(CALL_ID(CALL_MISC, MISC_DELEGATE, from), window, to);
}

/* Sleep with these types for PM1a and PM1b; returns when it has woken up. */
[[nodiscard]] static inline enum status suspend(unsigned long authority, unsigned long type_a,
						unsigned long type_b)
{
	return syscall_3(CALL_ID(CALL_MISC, MISC_SUSPEND, authority), type_a, type_b);
}

[[nodiscard]] static inline enum status ec_recall(unsigned long ec)
{
	return syscall_3(CALL_ID(CALL_EC_CTRL, EC_RECALL, ec), 0, 0);
}

/* microseconds: time that the EC ran. */
[[nodiscard]] static inline enum status ec_time(unsigned long ec, uint64_t *microseconds)
{
	struct syscall s = {0, 0, 0, 0};
	enum status status = syscall_5(CALL_ID(CALL_EC_CTRL, EC_TIME, ec), &s);

	*microseconds = s.rsi << 32 | (s.rdx & 0xffffffff);
	return status;
}

/* Read a vCPU's state into the caller's UTCB, and recall it. */
[[nodiscard]] static inline enum status vcpu_get_state(unsigned long ec, unsigned long mtd)
{
	return syscall_3(CALL_ID(CALL_EC_CTRL, EC_GET_STATE, ec), mtd, 0);
}

/* Write a vCPU's state from the caller's UTCB. */
[[nodiscard]] static inline enum status vcpu_set_state(unsigned long ec, bool recalled)
{
	return syscall_3(CALL_ID(CALL_EC_CTRL, EC_SET_STATE, ec), recalled, 0);
}

/* microseconds: time that the SC used. */
[[nodiscard]] static inline enum status sc_time(unsigned long sc, uint64_t *microseconds)
{
	struct syscall s = {0, 0, 0, 0};
	enum status status = syscall_5(CALL_ID(CALL_SC_CTRL, SC_TIME, sc), &s);

	*microseconds = s.rsi << 32 | (s.rdx & 0xffffffff);
	return status;
}

/* Set the portal's id, with which its handler is entered in RDI. */
[[nodiscard]] static inline enum status pt_ctrl(unsigned long pt, unsigned long id)
{
	return syscall_3(CALL_ID(CALL_PT_CTRL, 0, pt), id, 0);
}

[[nodiscard]] static inline enum status sm_up(unsigned long sm)
{
	return syscall_3(CALL_ID(CALL_SM_CTRL, SM_UP, sm), 0, 0);
}

/* deadline: absolute TSC, 0 for none. TIMEOUT when it has passed. */
[[nodiscard]] static inline enum status sm_down(unsigned long sm, uint64_t deadline)
{
	return syscall_3(CALL_ID(CALL_SM_CTRL, SM_DOWN, sm), deadline >> 32, deadline & 0xffffffff);
}

/* Take the whole count, at least one. */
[[nodiscard]] static inline enum status sm_down_all(unsigned long sm, uint64_t deadline)
{
	return syscall_3(CALL_ID(CALL_SM_CTRL, SM_DOWN | FLAG_SM_ZERO, sm), deadline >> 32,
			 deadline & 0xffffffff);
}

/* sm: of the GSI. flags: FLAG_GSI_..., 0 for what the platform says. */
[[nodiscard]] static inline enum status assign_gsi(unsigned long sm, unsigned cpu, unsigned flags)
{
	struct syscall s = {0, cpu, ~0ul, 0};

	return syscall_5(CALL_ID(CALL_ASSIGN_GSI, flags, sm), &s);
}

/* device: its configuration page; out: the message that it shall send. */
[[nodiscard]] static inline enum status
assign_msi(unsigned long sm, unsigned cpu, unsigned long device, uint64_t *address, uint32_t *data)
{
	struct syscall s = {device, cpu, ~0ul, 0};
	enum status status = syscall_5(CALL_ID(CALL_ASSIGN_GSI, 0, sm), &s);

	*address = s.rsi;
	*data = (uint32_t)s.rdx;
	return status;
}

/* Pages of kernel memory: what pd may use and what it uses. */
[[nodiscard]] static inline enum status pd_quota(unsigned long pd, unsigned long *limit,
						 unsigned long *usage)
{
	struct syscall s = {0, 0, 0, 0};
	enum status status = syscall_5(CALL_ID(CALL_PD_CTRL, PD_QUOTA, pd), &s);

	*limit = s.rsi;
	*usage = s.rdx;
	return status;
}
