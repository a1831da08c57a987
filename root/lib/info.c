/*
 * Looking things up in what root told, and telling it things.
 */
#include <lib/info.h>

#include <stdbool.h>

#include <lib/string.h>

const struct program_info *program_info;
struct program_status *program_status;

static bool matches(const char *have, const char *want)
{
	return !want || strcmp(have, want) == 0;
}

const struct info_area *info_area(enum info_area_kind kind, const char *name)
{
	for (uint32_t i = 0; i < program_info->area_count; i++) {
		const struct info_area *a = &program_info->areas[i];

		if (a->kind == kind && matches(a->name, name))
			return a;
	}
	return NULL;
}

const struct info_channel *info_channel(enum info_channel_kind kind, const char *name)
{
	for (uint32_t i = 0; i < program_info->channel_count; i++) {
		const struct info_channel *c = &program_info->channels[i];

		if (c->kind == kind && matches(c->name, name))
			return c;
	}
	return NULL;
}

void status_add_thread(const char *name, unsigned long sc, unsigned cpu)
{
	struct status_thread *t = program_status->threads;
	uint32_t unused;

	for (unsigned i = 0; i < STATUS_THREADS; i++, t++) {
		unused = 0;
		if (__atomic_compare_exchange_n(&t->sc, &unused, (uint32_t)sc, false,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
			t->cpu = cpu;
			string_copy(t->name, name, sizeof(t->name));
			return;
		}
	}
}

uint64_t *status_add_counter(const char *name)
{
	static uint64_t hidden;
	static unsigned used;
	unsigned i = __atomic_fetch_add(&used, 1, __ATOMIC_RELAXED);
	struct status_counter *c = &program_status->counters[i];

	if (i >= STATUS_COUNTERS)
		return &hidden;
	string_copy(c->name, name, sizeof(c->name));
	return &c->value;
}
