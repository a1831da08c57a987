/*
 * VMX instructions outside the VMCS: SDM 3D 31. They return whether the
 * processor accepted them (VMsucceed).
 */
#pragma once

#include "../types.h"

static inline bool vmxon(uint64_t phys)
{
	bool ok;

	__asm__ volatile("vmxon %1" : "=@cca"(ok) : "m"(phys) : "memory");
	return ok;
}

static inline bool vmclear(uint64_t phys)
{
	bool ok;

	__asm__ volatile("vmclear %1" : "=@cca"(ok) : "m"(phys) : "memory");
	return ok;
}

static inline bool vmptrld(uint64_t phys)
{
	bool ok;

	__asm__ volatile("vmptrld %1" : "=@cca"(ok) : "m"(phys) : "memory");
	return ok;
}

struct invept {
	uint64_t eptp, reserved;
};

enum { INVEPT_SINGLE = 1, INVEPT_ALL = 2 };

static inline bool invept(uint64_t type, uint64_t eptp)
{
	struct invept d = {eptp, 0};
	bool ok;

	__asm__ volatile("invept %1, %2"
			 : "=@cca"(ok)
			 : "m"(d), "r"(type)
			 : "memory");
	return ok;
}

struct invvpid {
	uint64_t vpid, address;
};

enum { INVVPID_SINGLE = 1, INVVPID_ALL = 2 };

static inline bool invvpid(uint64_t type, uint64_t vpid)
{
	struct invvpid d = {vpid, 0};
	bool ok;

	__asm__ volatile("invvpid %1, %2"
			 : "=@cca"(ok)
			 : "m"(d), "r"(type)
			 : "memory");
	return ok;
}
