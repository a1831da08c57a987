/*
 * The hypervisor information page, and what root finds where when it starts.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	HIP_SIGNATURE = 0x41564f4e,
	HIP_API_VERSION = 10,

	HIP_IOMMU = 1 << 0,
	HIP_VMX = 1 << 1,
	HIP_SVM = 1 << 2,

	HIP_CPUS = 64, /* entries of the CPU array */

	HIP_CPU_ENABLED = 1 << 0,
	HIP_CPU_PERFORMANCE = 1 << 1,
	HIP_CPU_EFFICIENCY = 1 << 2,
};

struct hip {
	uint32_t signature;
	uint16_t checksum; /* all u16 of the length add up to 0 */
	uint16_t length;   /* bytes, arrays included */
	uint16_t cpu_offset, cpu_size;
	uint16_t mem_offset, mem_size;
	uint32_t features; /* HIP_IOMMU, HIP_VMX, HIP_SVM */
	uint32_t api_version;
	uint32_t selectors;	/* of an object space */
	uint32_t events_thread; /* event selectors of a thread */
	uint32_t events_vcpu;	/* event selectors of a vCPU */
	uint32_t gsis;
	uint32_t page_sizes; /* bit n: pages of 2^n bytes */
	uint32_t utcb_sizes; /* bit n: UTCBs of 2^n bytes */
	uint32_t tsc_khz;
	uint32_t reserved;
};

struct hip_cpu {
	uint8_t flags;
	uint8_t thread, core, package;
	uint8_t acpi_id;
	uint8_t family, model;
	uint8_t stepping_platform; /* stepping 3..0, platform 6..4 */
	uint32_t microcode;
};

enum hip_mem_type {
	HIP_MEM_AVAILABLE = 1, /* and other positive types of the loader */
	HIP_MEM_KERNEL = -1,
	HIP_MEM_MODULE = -2, /* aux: physical address of its command line */
	HIP_MEM_RSDT = -3,
	HIP_MEM_XSDT = -4,
	HIP_MEM_FRAMEBUFFER = -5,
	HIP_MEM_LOG = -6,
	HIP_MEM_EFI = -7,
};

/*
 * A framebuffer's size is no size: width << 40 | height << 16 | type << 8 |
 * bits per pixel; its aux is the pitch in bytes.
 */
struct hip_mem {
	uint64_t address;
	uint64_t size; /* bytes */
	uint32_t type; /* enum hip_mem_type */
	uint32_t aux;
};

_Static_assert(sizeof(struct hip) == 0x38, "abi");
_Static_assert(sizeof(struct hip_cpu) == 12, "abi");
_Static_assert(sizeof(struct hip_mem) == 24, "abi");
_Static_assert(offsetof(struct hip, checksum) == 0x04, "abi");
_Static_assert(offsetof(struct hip, length) == 0x06, "abi");
_Static_assert(offsetof(struct hip, cpu_offset) == 0x08, "abi");
_Static_assert(offsetof(struct hip, mem_offset) == 0x0c, "abi");
_Static_assert(offsetof(struct hip, features) == 0x10, "abi");
_Static_assert(offsetof(struct hip, api_version) == 0x14, "abi");
_Static_assert(offsetof(struct hip, selectors) == 0x18, "abi");
_Static_assert(offsetof(struct hip, events_thread) == 0x1c, "abi");
_Static_assert(offsetof(struct hip, events_vcpu) == 0x20, "abi");
_Static_assert(offsetof(struct hip, gsis) == 0x24, "abi");
_Static_assert(offsetof(struct hip, page_sizes) == 0x28, "abi");
_Static_assert(offsetof(struct hip, utcb_sizes) == 0x2c, "abi");
_Static_assert(offsetof(struct hip, tsc_khz) == 0x30, "abi");

/* Root's first selectors, and the kernel's that it can take (ITEM_KERNEL). */
enum {
	SEL_ROOT_PD = 32,
	SEL_ROOT_EC = 33,
	SEL_ROOT_SC = 34,
	SEL_SUSPEND = 35, /* authority to suspend */
	SEL_MSR = 36,	  /* authority over MSRs */

	KERNEL_SEL_IDLE_SC = 0, /* + CPU */
	KERNEL_SEL_GSI = 64,	/* + GSI */
};

/* Root's address space. */
#define USER_END  0x00007fffc0000000ul
#define ROOT_HIP  0x00007fffbffff000ul
#define ROOT_UTCB 0x00007fffbfffe000ul
