/*
 * Multiboot, versions 1 and 2, into boot_info.
 */
#pragma once

#include "../types.h"

/* False: the magic number is neither protocol's, or the information is bad. */
[[nodiscard]] bool multiboot_parse(uint32_t magic, uint64_t info);
