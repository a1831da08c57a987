/*
 * From the entry point to program_main.
 */
#include <lib/runtime.h>

#include <lib/console.h>
#include <lib/heap.h>
#include <lib/lock.h>
#include <lib/log.h>
#include <lib/program.h>
#include <lib/request.h>
#include <lib/sel.h>
#include <lib/status.h>
#include <lib/time.h>

static void add_heaps(const struct program_info *info)
{
	for (uint32_t i = 0; i < info->area_count; i++) {
		const struct info_area *a = &info->areas[i];

		if (a->kind == AREA_HEAP) {
			heap_add((void *)a->address, a->size);
		}
	}
}

enum status runtime_init(const struct program_info *info,
			 struct program_status *status, struct utcb *utcb)
{
	struct thread *self = thread_self();
	enum status s;

	program_info = info;
	program_status = status;
	*self = (struct thread){
		.utcb = utcb,
		.ec = SEL_EC,
		.sc = SEL_SC,
		.cpu = info->cpus[0],
	};
	time_init(info->tsc_khz);
	/* A lock's semaphore has a selector; nobody contends for it yet. */
	s = lock_init(&sel_lock);
	s = s == SUCCESS ? lock_init(&heap_lock) : s;
	s = s == SUCCESS ? thread_init() : s;
	add_heaps(info);
	return s;
}

void runtime_start(void)
{
	static struct console log;
	const struct program_info *info = (const void *)LAYOUT_INFO;
	enum status status;

	status = runtime_init(info, (void *)LAYOUT_STATUS, (void *)LAYOUT_UTCB);
	if (console_open(&log, "log")) {
		console_log = &log;
	}
	if (status != SUCCESS) {
		panic("runtime: %s", status_name(status));
	}
	status_add_thread("main", SEL_SC, info->cpus[0]);
	program_exit((unsigned)program_main(info), "");
}
