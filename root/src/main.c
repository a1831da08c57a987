/*
 * Root: the first program. It learns what the machine has, reads the manifest,
 * and starts what that names.
 */
#include "program.h"

#include <libfdt.h>

#include <lib/heap.h>
#include <lib/log.h>
#include <lib/message.h>
#include <lib/runtime.h>
#include <lib/sel.h>
#include <lib/status.h>
#include <lib/string.h>

#include "module.h"
#include "serial.h"

enum {
	PRIORITY_WORKER = 110,
	QUANTUM = 10000, /* microseconds */
	HEAP = 4 << 20,
	TREE_ROOM = 8192, /* bytes for what the command line adds */
};

const struct hip *hip;

static struct program_info info;
static struct program_status status_page;
static struct manifest manifest;

_Noreturn void root_main(unsigned long cpu, const struct hip *page);
_Noreturn void __stack_chk_fail(void);

/* libfdt is built with stack protection; see read_manifest. */
void __stack_chk_fail(void)
{
	panic("stack overrun in libfdt");
}

/* Root cannot exit: what cannot be is said, and root stops. */
void program_exit(unsigned code, const char *message)
{
	(void)code;
	log_sink = serial_write;
	log_error("PANIC root: %s", message);
	thread_stop();
}

static void check(const char *what, enum status status)
{
	if (status != SUCCESS)
		panic("%s: %s", what, status_name(status));
}

/* Until the console service puts our name in front. */
static void write_serial(const char *text, size_t n)
{
	serial_write("[root] ", 7);
	serial_write(text, n);
}

static const struct hip_cpu *cpu_entry(unsigned cpu)
{
	return (const void *)((const uint8_t *)hip + hip->cpu_offset + (size_t)cpu * hip->cpu_size);
}

bool cpu_exists(unsigned cpu)
{
	return cpu < HIP_CPUS && (cpu_entry(cpu)->flags & HIP_CPU_ENABLED);
}

static enum status take_ports(unsigned first, unsigned count)
{
	return delegate_range(SEL_PD, CRD_PIO, first, count, PIO_ACCESS, ITEM_KERNEL, SEL_PD,
			      first);
}

/* Our own runtime, and a voice. */
static void init_runtime(unsigned cpu)
{
	struct thread *self = thread_self();

	info = (struct program_info){
		.magic = INFO_MAGIC,
		.version = INFO_VERSION,
		.tsc_khz = hip->tsc_khz,
		.features = hip->features,
		.page_sizes = hip->page_sizes,
		.priority = PRIORITY_MIN,
		.quantum = QUANTUM,
		.cpu_count = 1,
		.cpus = {(uint16_t)cpu},
		.name = "root",
	};
	self->utcb = (struct utcb *)ROOT_UTCB;
	check("serial line", take_ports(0x3f8, 8));
	log_sink = write_serial;
	if (hip->signature != HIP_SIGNATURE || hip->api_version != HIP_API_VERSION) {
		panic("the kernel's interface has version %u, not %d", hip->api_version,
		      HIP_API_VERSION);
	}
	check("runtime", runtime_init(&info, &status_page, self->utcb));
	check("semaphore", create_sm(SEL_NEVER, SEL_PD, 0));
	check("exit ports", take_ports(0xf4, 4));
	check("exit ports", take_ports(0x8900, 1));
}

static void init_memory(unsigned cpu)
{
	struct block block;
	void *at;

	module_init(hip);
	memory_init(hip);
	if (!memory_allocate(HEAP, PAGE_SIZE, &block))
		panic("no memory for the heap");
	check("heap", memory_take(&block, MEM_R | MEM_W, &at));
	heap_add(at, HEAP);
	check("events", event_create_root(cpu));
	check("lock", lock_init(&root_lock));
	log_info("%lu MiB of memory, %s", memory_free_bytes() >> 20,
		 hip->features & HIP_VMX   ? "VMX"
		 : hip->features & HIP_SVM ? "SVM"
					   : "no virtualisation");
}

static void report_line(const char *text)
{
	log_error("%s", text);
}

static const struct manifest_report report = {report_line};

/* A copy that can grow, changed by our command line; null if there is none. */
static void *open_tree(void)
{
	const struct module *m = module_find("manifest.dtb");
	const void *file;
	size_t size;
	void *tree;

	if (!m) {
		log_error("there is no boot module manifest.dtb");
		return NULL;
	}
	check("manifest", module_map(m, &file));
	size = m->size + TREE_ROOM;
	tree = heap_alloc_zero(1, size);
	if (!tree || m->size < sizeof(struct fdt_header) || fdt_totalsize(file) > m->size ||
	    fdt_open_into(file, tree, (int)size) != 0) {
		log_error("manifest.dtb is not a flattened device tree");
		return NULL;
	}
	manifest_override(tree, module_at(0)->line, &report);
	return tree;
}

/*
 * libfdt reads its stack canary at FS base + 0x28, and our FS base is 0: while
 * it runs, and only then, page 0 can be read.
 */
static void read_manifest(void)
{
	[[gnu::aligned(PAGE_SIZE)]] static const uint8_t page[PAGE_SIZE];
	unsigned long zero = CRD(CRD_MEM, RIGHTS_ALL, 0, 0);
	void *tree;

	check("page 0", delegate_range(SEL_PD, CRD_MEM, (unsigned long)page / PAGE_SIZE, 1, MEM_R,
				       0, SEL_PD, 0));
	tree = open_tree();
	if (tree && !manifest_parse(tree, &manifest, &report))
		log_error("the manifest cannot be read");
	heap_free(tree);
	check("page 0", revoke_self(zero));
}

static void run_worker(void *argument)
{
	(void)argument;
	program_worker();
}

static void start_worker(unsigned cpu)
{
	enum status status;
	const struct thread *t;

	worker_sm = sel_alloc(0);
	check("worker", create_sm(worker_sm, SEL_PD, 0));
	t = thread_create("worker", cpu, PRIORITY_WORKER, QUANTUM, run_worker, NULL, &status);
	if (!t)
		panic("worker: %s", status_name(status));
	worker_sc = t->sc;
}

void root_main(unsigned long cpu, const struct hip *page)
{
	hip = page;
	init_runtime((unsigned)cpu);
	init_memory((unsigned)cpu);
	read_manifest();
	channel_init(&manifest);
	program_init(&manifest);
	start_worker((unsigned)cpu);
	thread_stop();
}
