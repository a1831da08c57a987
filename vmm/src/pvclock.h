/*
 * The paravirtual clock that Linux knows from KVM, as far as a constant TSC
 * needs it: MSR 0x4b564d01 takes the guest-physical address of a structure that
 * says how to get from TSC to nanoseconds, 0x4b564d00 that of the wall-clock
 * time at which these began. Documentation/virt/kvm/x86/{msr,cpuid}.rst.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "gmem.h"

enum {
	MSR_PVCLOCK_WALL = 0x4b564d00,
	MSR_PVCLOCK_SYSTEM = 0x4b564d01,
};

/* false: no such address. */
[[nodiscard]] bool pvclock_write_system(const struct gmem *mem, uint64_t value, uint32_t tsc_khz);

/* boot: seconds since 1970 when the guest's TSC was 0. */
[[nodiscard]] bool pvclock_write_wall(const struct gmem *mem, uint64_t gpa, uint64_t boot);
