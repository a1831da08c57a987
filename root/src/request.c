/*
 * What programs ask for. The message may be anything.
 */
#include "program.h"

#include <lib/message.h>
#include <lib/sel.h>
#include <lib/string.h>

static void copy_text(char *to, size_t size, const char *from, uint64_t n)
{
	n = n < size - 1 ? n : size - 1;
	for (uint64_t i = 0; i < n; i++)
		to[i] = from[i] >= ' ' && from[i] < 0x7f ? from[i] : '?';
	to[n] = 0;
}

static unsigned long on_exit(struct program *p, struct utcb *u)
{
	if (p->end == END_NONE) {
		p->end = END_EXIT;
		p->exit_code = (unsigned)u->word[1];
		copy_text(p->exit_message, EXIT_MESSAGE, (const char *)&u->word[3], u->word[2]);
	}
	(void)sm_up(worker_sm);
	u->items = 0;
	return SEL_NEVER;
}

static enum request_result on_ready(struct program *p)
{
	if (!p->config->services.count)
		return REQUEST_DENIED;
	p->ready = true;
	(void)sm_up(worker_sm);
	return REQUEST_OK;
}

/* Time of an SC that the program has, or 0. */
static uint64_t time_of(const struct program *p, unsigned long sc)
{
	unsigned long sel = sel_alloc(0);
	uint64_t time = 0;

	if (!sel)
		return 0;
	if (delegate_range(p->pd, CRD_OBJ, sc, 1, SC_CONTROL, 0, SEL_PD, sel) != SUCCESS ||
	    sc_time(sel, &time) != SUCCESS)
		time = 0;
	(void)revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, sel));
	sel_free(sel, 0);
	return time;
}

/* The program's own word on its threads and counters, checked. */
static void view_status(const struct program *p, struct program_view *view)
{
	const struct program_status *s = p->status;

	for (unsigned i = 0; i < STATUS_THREADS; i++) {
		uint32_t sc = __atomic_load_n(&s->threads[i].sc, __ATOMIC_RELAXED);
		unsigned n = view->thread_count;

		if (!sc || sc >= SEL_END)
			continue;
		copy_text(view->threads[n].name, STATUS_NAME, s->threads[i].name,
			  strnlen(s->threads[i].name, STATUS_NAME - 1));
		view->threads[n].time = time_of(p, sc);
		view->time += view->threads[n].time;
		view->thread_count++;
	}
	for (unsigned i = 0; i < STATUS_COUNTERS; i++) {
		const struct status_counter *c = &s->counters[i];
		unsigned n = view->counter_count;

		if (c->name[0]) {
			copy_text(view->counters[n].name, STATUS_NAME, c->name,
				  strnlen(c->name, STATUS_NAME - 1));
			view->counters[n].value = c->value;
			view->counter_count++;
		}
	}
}

/* Root itself is behind the last program: all the memory that is in use. */
static enum request_result view_root(struct program_view *view)
{
	uint64_t time = 0;

	memset(view, 0, sizeof(*view));
	string_copy(view->name, "root", sizeof(view->name));
	view->state = STATE_RUNNING;
	view->starts = 1;
	view->memory = memory_used_bytes();
	if (pd_quota(SEL_PD, &view->kernel_limit, &view->kernel_used) != SUCCESS ||
	    sc_time(worker_sc, &time) != SUCCESS)
		time = 0;
	view->time = time;
	return REQUEST_OK;
}

static enum request_result on_status(struct program *p, unsigned long index,
				     struct program_view *view)
{
	const struct program *of;

	if (!channel_is_console(p))
		return REQUEST_DENIED;
	if (index >= program_count)
		return index == program_count ? view_root(view) : REQUEST_NOTHING;
	of = &programs[index];
	memset(view, 0, sizeof(*view));
	string_copy(view->name, of->config->name, sizeof(view->name));
	view->state = of->state;
	view->starts = of->starts;
	if (of->state == STATE_RUNNING && of->end == END_NONE) {
		for (unsigned i = 0; i < of->block_count; i++)
			view->memory += of->blocks[i].size;
		if (pd_quota(of->pd, &view->kernel_limit, &view->kernel_used) != SUCCESS)
			view->kernel_limit = of->config->kernel_memory;
		view_status(of, view);
	}
	return REQUEST_OK;
}

static enum request_result on_control(struct program *p, unsigned long index, unsigned long control)
{
	struct program *of;

	if (!channel_is_console(p))
		return REQUEST_DENIED;
	if (index >= program_count)
		return REQUEST_NOTHING;
	of = &programs[index];
	if (control == CONTROL_START && of->state != STATE_RUNNING)
		of->start = true;
	else if (control == CONTROL_STOP && of->state == STATE_RUNNING && of != p)
		of->end = of->end == END_NONE ? END_STOP : of->end;
	else
		return REQUEST_INVALID;
	(void)sm_up(worker_sm);
	return REQUEST_OK;
}

/* The view is kept apart: filling it uses this thread's UTCB. */
static unsigned long answer(struct program *p, struct utcb *u)
{
	struct program_view view;
	enum request_result result = REQUEST_INVALID;
	unsigned words = 1;

	switch (u->word[0]) {
	case REQUEST_EXIT:
		return on_exit(p, u);
	case REQUEST_READY:
		result = on_ready(p);
		break;
	case REQUEST_STATUS:
		result = on_status(p, u->word[1], &view);
		if (result == REQUEST_OK) {
			memcpy(&u->word[1], &view, sizeof(view));
			words += sizeof(view) / 8;
		}
		break;
	case REQUEST_CONTROL:
		result = on_control(p, u->word[1], u->word[2]);
		break;
	default:
		break;
	}
	u->word[0] = result;
	message_words(u, words);
	return 0;
}

unsigned long request_handle(struct program *p, struct utcb *u)
{
	unsigned long sleep;

	lock_acquire(&root_lock);
	sleep = answer(p, u);
	lock_release(&root_lock);
	return sleep;
}
