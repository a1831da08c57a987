/*
 * VMX instructions outside the VMCS: SDM 3D 31. They return whether the
 * processor accepted them (VMsucceed).
 */
#pragma once

#include "../types.h"

#define VMX_POINTER(insn)                                                           \
	static inline bool insn(uint64_t phys)                                      \
	{                                                                           \
		bool ok;                                                            \
                                                                                    \
		__asm__ volatile(#insn " %1" : "=@cca"(ok) : "m"(phys) : "memory"); \
		return ok;                                                          \
	}
VMX_POINTER(vmxon)
VMX_POINTER(vmclear)
VMX_POINTER(vmptrld)
#undef VMX_POINTER

enum { INVEPT_SINGLE = 1, INVVPID_ALL = 2 };

/* what: EPTP or VPID */
#define VMX_INVALIDATE(insn)                                                                       \
	static inline void insn(uint64_t type, uint64_t what)                                      \
	{                                                                                          \
		uint64_t descriptor[2] = {what, 0};                                                \
                                                                                                   \
		__asm__ volatile(#insn " %0, %1" : : "m"(descriptor), "r"(type) : "cc", "memory"); \
	}
VMX_INVALIDATE(invept)
VMX_INVALIDATE(invvpid)
#undef VMX_INVALIDATE
