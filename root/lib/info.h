/*
 * What root tells a program: one read-only structure at LAYOUT_INFO, complete
 * before the program starts and constant after.
 *
 * A program may trust it: root fills it. Strings end with 0.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <lib/layout.h>

enum {
	INFO_MAGIC = 0x4f464e49, /* "INFO" */
	INFO_VERSION = 1,

	INFO_NAME = 32,	    /* bytes of a name */
	INFO_STRING = 1024, /* bytes of arguments, command line */
	INFO_CPUS = 64,
	INFO_AREAS = 48,
	INFO_CHANNELS = 48,
};

enum info_area_kind {
	AREA_HEAP = 1, /* memory for its heap (the runtime takes it) */
	AREA_GUEST,    /* a VM's RAM, see below */
	AREA_MODULE,   /* a boot module, read-only; name: its role */
};

/*
 * A range of the program's address space. AREA_GUEST: all areas of this kind
 * follow each other without a gap from LAYOUT_GUEST on, in the order of the
 * table; each is physically contiguous, and physical and virtual address
 * agree modulo 2 MiB (modulo 1 GiB in what is that large), so that a
 * delegation of naturally aligned parts gives superpages. Delegate each area
 * by itself. AREA_MODULE: address and size are exact, to the byte; the names
 * of a VM's modules are "kernel" and "initrd".
 */
struct info_area {
	uint32_t kind;	 /* enum info_area_kind */
	uint32_t rights; /* MEM_R, MEM_W, MEM_X */
	uint64_t address;
	uint64_t size; /* bytes */
	char name[INFO_NAME];
};

enum info_channel_kind {
	CHANNEL_PORTAL = 1, /* a service: call(selector) */
	CHANNEL_CONSOLE,    /* console.h; address: struct console_ring */
	CHANNEL_CLIENT,	    /* the console service's end of such a one */
	CHANNEL_INTERRUPT,  /* selector: semaphore; number: GSI */
	CHANNEL_SERVICE,    /* create a portal there, then request_ready */
};

enum {
	CHANNEL_RAW = 1 << 0, /* console: bytes, not lines; interactive */
};

/*
 * name: of the service; of the console ("log" for its own lines, "console"
 * for a guest's); or, for the console service, of the client.
 */
struct info_channel {
	uint32_t kind; /* enum info_channel_kind */
	uint32_t flags;
	uint32_t selector; /* the first of the channel's */
	uint32_t number;
	uint64_t address; /* of shared memory, or 0 */
	uint64_t size;	  /* bytes */
	char name[INFO_NAME];
};

/* A virtual machine that the program is the VMM of; vcpus 0: it is none. */
struct info_vm {
	uint32_t vcpus;
	uint32_t reserved;
	uint64_t memory;		/* bytes of all AREA_GUEST together */
	char command_line[INFO_STRING]; /* of the guest's kernel */
};

struct program_info {
	uint32_t magic, version;
	uint32_t tsc_khz;
	uint32_t features;     /* HIP_IOMMU, HIP_VMX, HIP_SVM */
	uint32_t page_sizes;   /* bit n: the kernel maps pages of 2^n bytes */
	uint32_t priority;     /* of its main thread */
	uint32_t quantum;      /* microseconds */
	uint32_t kernel_pages; /* its quota of kernel memory */
	uint32_t cpu_count;
	uint32_t area_count;
	uint32_t channel_count;
	uint32_t instance;	  /* how often it was started before */
	uint16_t cpus[INFO_CPUS]; /* that it may use; [0]: its main thread's */
	char name[INFO_NAME];
	char arguments[INFO_STRING];
	struct info_vm vm;
	struct info_area areas[INFO_AREAS];
	struct info_channel channels[INFO_CHANNELS];
};

_Static_assert(sizeof(struct program_info) <= LAYOUT_INFO_SIZE, "layout");

/* The running program's own. Valid from program_main on. */
extern const struct program_info *program_info;

/* The first of its kind and name (null: any name), or null. */
const struct info_area *info_area(enum info_area_kind kind, const char *name);
const struct info_channel *info_channel(enum info_channel_kind kind, const char *name);

/*
 * What a program tells root and the console about itself, at LAYOUT_STATUS:
 * for the status view only. Its readers trust nothing in it.
 */
enum { STATUS_THREADS = 32, STATUS_COUNTERS = 16, STATUS_NAME = 16 };

struct status_thread {
	char name[STATUS_NAME];
	uint32_t sc; /* selector in the program; 0: unused */
	uint32_t cpu;
};

struct status_counter {
	char name[STATUS_NAME]; /* "exits"; empty: unused */
	uint64_t value;
};

struct program_status {
	struct status_thread threads[STATUS_THREADS];
	struct status_counter counters[STATUS_COUNTERS];
};

_Static_assert(sizeof(struct program_status) <= 4096, "layout");

/* The running program's own. */
extern struct program_status *program_status;

/*
 * Show an SC in the status view (threads of thread.h are shown already; this
 * is for vCPUs), and a counter, which its owner then counts up. A full table
 * gives a counter that is not shown.
 */
void status_add_thread(const char *name, unsigned long sc, unsigned cpu);
uint64_t *status_add_counter(const char *name);
