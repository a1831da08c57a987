/*
 * What a program has before its first line: itself as a thread, time, a heap.
 */
#include <lib/runtime.h>

#include <lib/heap.h>
#include <lib/lock.h>
#include <lib/sel.h>
#include <lib/time.h>

static void add_heaps(const struct program_info *info)
{
	for (uint32_t i = 0; i < info->area_count; i++) {
		const struct info_area *a = &info->areas[i];

		if (a->kind == AREA_HEAP)
			heap_add((void *)a->address, a->size);
	}
}

enum status runtime_init(const struct program_info *info, struct program_status *status,
			 struct utcb *utcb)
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
