/*
 * A program from its parts, and back into them.
 *
 * All memory of a program is in its blocks: root holds them while it lives,
 * and takes them back from it, and from all to which it passed them on, by
 * dropping them.
 */
#include "program.h"

#include <lib/log.h>
#include <lib/message.h>
#include <lib/print.h>
#include <lib/sel.h>
#include <lib/status.h>
#include <lib/string.h>

#include "elf.h"
#include "module.h"

enum { PD_RIGHTS_PROGRAM = PD_CREATE_EC | PD_CREATE_SC | PD_CREATE_PT | PD_CREATE_SM };

/* What did not work, for the caller's message. */
static char error_text[160];

[[gnu::format(printf, 1, 2)]] static const char *error(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(error_text, sizeof(error_text), format, list);
	va_end(list);
	return error_text;
}

static const char *failed(const char *what, enum status status)
{
	return status == SUCCESS ? NULL : error("%s: %s", what, status_name(status));
}

/* Hold a block for the program, and clear it. Null on failure. */
static void *hold(struct program *p, const struct block *block, bool clear)
{
	void *at;

	if (p->block_count == PROGRAM_BLOCKS) {
		memory_release(block);
		return NULL;
	}
	p->blocks[p->block_count++] = *block;
	if (memory_take(block, MEM_R | MEM_W | MEM_X, &at) != SUCCESS)
		return NULL;
	if (clear)
		memset(at, 0, block->size);
	return at;
}

/* Memory of the program's at an address; *at is where root sees it. */
static const char *add_memory(struct program *p, const char *what, uint64_t to, uint64_t size,
			      unsigned rights, void **at)
{
	struct block block;

	if (!memory_allocate(size, PAGE_SIZE, &block))
		return error("%s: no %lu KiB of memory left", what, (size + 1023) >> 10);
	*at = hold(p, &block, true);
	if (!*at)
		return error("%s: the kernel gives no memory at %#lx", what, block.address);
	return failed(what, memory_give(&block, rights, 0, p->pd, to));
}

static const char *load_segment(struct program *p, const void *file, const struct elf_segment *s)
{
	uint64_t offset = s->address % PAGE_SIZE;
	void *at;
	const char *e = add_memory(p, "image", s->address - offset, offset + s->size, s->rights,
				   &at);

	if (!e)
		memcpy((char *)at + offset, (const char *)file + s->offset, s->file_size);
	return e;
}

static const char *load_image(struct program *p)
{
	const struct module *m = module_find(p->config->module);
	const void *file;
	const char *e;
	struct elf elf;

	if (!m)
		return error("there is no boot module %s", p->config->module);
	e = failed(m->name, module_map(m, &file));
	if (e)
		return e;
	e = elf_parse(file, m->size, LAYOUT_IMAGE, LAYOUT_IMAGE_END, &elf);
	if (e)
		return error("%s: %s", m->name, e);
	for (unsigned i = 0; i < elf.segment_count && !e; i++)
		e = load_segment(p, file, &elf.segments[i]);
	p->entry = elf.entry;
	return e;
}

static struct info_area *new_area(struct program_info *info, enum info_area_kind kind,
				  unsigned rights, uint64_t address, uint64_t size,
				  const char *name)
{
	struct info_area *a = &info->areas[info->area_count];

	if (info->area_count == INFO_AREAS)
		return NULL;
	info->area_count++;
	*a = (struct info_area){
		.kind = kind,
		.rights = rights,
		.address = address,
		.size = size,
	};
	string_copy(a->name, name, sizeof(a->name));
	return a;
}

static const char *add_heap(struct program *p, struct program_info *info)
{
	uint64_t size = (uint64_t)p->config->heap << 10;
	void *at;

	if (!new_area(info, AREA_HEAP, MEM_R | MEM_W, LAYOUT_HEAP, size, "heap"))
		return "heap: too many areas";
	return add_memory(p, "heap", LAYOUT_HEAP, size, MEM_R | MEM_W, &at);
}

static const char *add_stack(struct program *p)
{
	void *at;

	return add_memory(p, "stack", LAYOUT_STACK, STACK_SIZE, MEM_R | MEM_W, &at);
}

enum {
	SUPERPAGE = 2 << 20,
	LEFT_FREE = 16 << 20, /* by a VM that takes all */
};

/*
 * A module, mapped behind the last one; as far into a superpage as its memory
 * is, so that it takes few mappings.
 */
static const char *add_module(struct program *p, struct program_info *info, const char *role,
			      const char *name, uint64_t *to)
{
	const struct module *m = module_find(name);
	const void *file;
	const char *e;

	if (!*name)
		return NULL;
	if (!m)
		return error("%s: there is no boot module %s", role, name);
	*to = (*to + SUPERPAGE - 1) & -(uint64_t)SUPERPAGE;
	*to += m->address % SUPERPAGE & -PAGE_SIZE;
	if (!new_area(info, AREA_MODULE, MEM_R, *to + m->address % PAGE_SIZE, m->size, role))
		return error("%s: too many areas", role);
	e = failed(name, module_map(m, &file));
	e = e ? e : failed(name, module_give(m, p->pd, *to));
	*to += (m->size + 2 * PAGE_SIZE - 1) & -PAGE_SIZE;
	return e;
}

/*
 * The next piece of a guest's RAM: whole GiB first, so that their alignment is
 * right in both spaces.
 */
static bool guest_piece(uint64_t left, struct block *block)
{
	return (left >= GIB && (memory_allocate(left & -GIB, GIB, block) ||
				memory_allocate_most(left, GIB, block))) ||
	       memory_allocate(left, SUPERPAGE, block) ||
	       memory_allocate_most(left, SUPERPAGE, block);
}

static uint64_t guest_size(const struct program *p)
{
	uint64_t left = memory_free_bytes();

	if (p->config->memory != MANIFEST_MOST)
		return (uint64_t)p->config->memory * MIB & -(uint64_t)SUPERPAGE;
	return left > LEFT_FREE ? (left - LEFT_FREE) & -(uint64_t)SUPERPAGE : 0;
}

static const char *add_guest_piece(struct program *p, struct program_info *info,
				   const struct block *block, uint64_t to)
{
	if (!hold(p, block, !block->fresh))
		return error("the kernel gives no memory at %#lx", block->address);
	if (!new_area(info, AREA_GUEST, RIGHTS_ALL & 7, to, block->size, "ram"))
		return "the memory is in too many pieces";
	return failed("memory", memory_give(block, MEM_R | MEM_W | MEM_X, 0, p->pd, to));
}

static const char *add_guest(struct program *p, struct program_info *info)
{
	uint64_t size = guest_size(p), done = 0;
	bool most = p->config->memory == MANIFEST_MOST;
	const char *e = NULL;
	struct block block;

	while (done < size && !e) {
		if (!guest_piece(size - done, &block)) {
			if (most && done)
				break;
			return error("no %lu MiB of memory left, %lu are", size >> 20,
				     memory_free_bytes() >> 20);
		}
		e = add_guest_piece(p, info, &block, LAYOUT_GUEST + done);
		done += block.size;
	}
	info->vm.memory = done;
	return e;
}

static const char *add_vm(struct program *p, struct program_info *info)
{
	uint64_t to = LAYOUT_MODULES;
	const char *e;

	if (!p->config->vm)
		return NULL;
	info->vm.vcpus = p->config->vcpus;
	string_copy(info->vm.command_line, p->config->command_line, sizeof(info->vm.command_line));
	e = add_guest(p, info);
	e = e ? e : add_module(p, info, "kernel", p->config->kernel, &to);
	return e ? e : add_module(p, info, "initrd", p->config->initrd, &to);
}

static void describe(const struct program *p, struct program_info *info)
{
	const struct manifest_program *c = p->config;

	info->magic = INFO_MAGIC;
	info->version = INFO_VERSION;
	info->tsc_khz = hip->tsc_khz;
	info->features = hip->features;
	info->page_sizes = hip->page_sizes;
	info->priority = c->priority;
	info->quantum = c->quantum;
	info->kernel_pages = c->kernel_memory;
	info->instance = p->starts;
	info->cpu_count = c->cpus.count;
	for (unsigned i = 0; i < c->cpus.count; i++)
		info->cpus[i] = (uint16_t)c->cpus.cell[i];
	string_copy(info->name, c->name, sizeof(info->name));
	string_copy(info->arguments, c->arguments, sizeof(info->arguments));
}

static const char *add_pages(struct program *p, struct program_info **info)
{
	void *at = NULL;
	const char *e = add_memory(p, "info page", LAYOUT_INFO, LAYOUT_INFO_SIZE, MEM_R, &at);

	*info = at;
	if (!e) {
		e = add_memory(p, "status page", LAYOUT_STATUS, PAGE_SIZE, MEM_R | MEM_W, &at);
		p->status = at;
	}
	return e;
}

/* A new selector in root for something of the program's. */
static enum status selector(unsigned long *sel)
{
	*sel = sel_alloc(0);
	return *sel ? SUCCESS : OUT_OF_MEMORY;
}

static enum status give_object(const struct program *p, unsigned long sel, unsigned rights,
			       unsigned long to)
{
	return delegate_range(SEL_PD, CRD_OBJ, sel, 1, rights, 0, p->pd, to);
}

static const char *create_space(struct program *p)
{
	unsigned rights = PD_RIGHTS_PROGRAM;
	enum status status = selector(&p->pd);

	if (status == SUCCESS)
		status = create_pd(p->pd, SEL_PD, 0, p->config->kernel_memory);
	if (status != SUCCESS)
		return failed("protection domain", status);
	rights |= p->config->vm ? (unsigned)PD_CREATE_PD : 0;
	status = give_object(p, p->pd, rights, SEL_PD);
	status = status == SUCCESS ? selector(&p->never) : status;
	status = status == SUCCESS ? create_sm(p->never, p->pd, 0) : status;
	status = status == SUCCESS ? give_object(p, p->never, SM_RIGHT_DOWN, SEL_NEVER) : status;
	return failed("protection domain", status);
}

static bool ports_meet(const struct manifest_cells *a, const struct manifest_cells *b)
{
	for (unsigned i = 0; i < a->count; i += 2) {
		for (unsigned j = 0; j < b->count; j += 2)
			if (a->cell[i] < b->cell[j] + b->cell[j + 1] &&
			    b->cell[j] < a->cell[i] + a->cell[i + 1])
				return true;
	}
	return false;
}

static bool interrupts_meet(const struct manifest_cells *a, const struct manifest_cells *b)
{
	for (unsigned i = 0; i < a->count; i++) {
		for (unsigned j = 0; j < b->count; j++)
			if (a->cell[i] == b->cell[j])
				return true;
	}
	return false;
}

/* A device belongs to one program at a time. */
static const char *check_devices(const struct program *p)
{
	for (unsigned i = 0; i < program_count; i++) {
		const struct program *other = &programs[i];

		if (other == p || !other->pd)
			continue;
		if (ports_meet(&p->config->ports, &other->config->ports))
			return error("ports: %s has some of them", other->config->name);
		if (interrupts_meet(&p->config->interrupts, &other->config->interrupts))
			return error("interrupts: %s has some of them", other->config->name);
	}
	return NULL;
}

static const char *add_ports(struct program *p)
{
	const struct manifest_cells *c = &p->config->ports;
	enum status status = SUCCESS;

	p->ports = true;
	for (unsigned i = 0; i < c->count && status == SUCCESS; i += 2) {
		status = delegate_range(SEL_PD, CRD_PIO, c->cell[i], c->cell[i + 1], PIO_ACCESS,
					ITEM_KERNEL, SEL_PD, c->cell[i]);
		status = status == SUCCESS
				 ? delegate_range(SEL_PD, CRD_PIO, c->cell[i], c->cell[i + 1],
						  PIO_ACCESS, 0, p->pd, c->cell[i])
				 : status;
	}
	return failed("ports", status);
}

static enum status add_interrupt(struct program *p, unsigned i, struct program_info *info)
{
	struct info_channel *c = &info->channels[info->channel_count];
	unsigned gsi = p->config->interrupts.cell[i];
	enum status status = selector(&p->interrupts[i]);

	if (info->channel_count == INFO_CHANNELS || gsi >= hip->gsis)
		return BAD_PARAMETER;
	status = status == SUCCESS
			 ? delegate_range(SEL_PD, CRD_OBJ, KERNEL_SEL_GSI + gsi, 1, RIGHTS_ALL,
					  ITEM_KERNEL, SEL_PD, p->interrupts[i])
			 : status;
	status = status == SUCCESS ? assign_gsi(p->interrupts[i], p->config->cpus.cell[0], 0)
				   : status;
	status = status == SUCCESS
			 ? give_object(p, p->interrupts[i], SM_RIGHT_DOWN, SEL_INTERRUPTS + i)
			 : status;
	info->channel_count++;
	c->kind = CHANNEL_INTERRUPT;
	c->selector = SEL_INTERRUPTS + i;
	c->number = gsi;
	return status;
}

static const char *add_interrupts(struct program *p, struct program_info *info)
{
	const char *e = NULL;

	for (unsigned i = 0; i < p->config->interrupts.count && !e; i++)
		e = failed("interrupts", add_interrupt(p, i, info));
	return e;
}

static const char *add_events(struct program *p)
{
	const struct manifest_cells *c = &p->config->cpus;
	const char *e = NULL;

	for (unsigned i = 0; i < c->count && !e; i++) {
		if (!cpu_exists(c->cell[i]))
			return error("cpus: there is no CPU %u", c->cell[i]);
		if (!p->events[c->cell[i]])
			e = failed("events", event_create(p, c->cell[i]));
	}
	return e;
}

/* The main thread; with its SC it runs. */
static const char *create_thread(struct program *p)
{
	const struct manifest_program *c = p->config;
	enum status status = selector(&p->ec);

	status = status == SUCCESS
			 ? create_ec(p->ec, p->pd, EC_GLOBAL, LAYOUT_UTCB, c->cpus.cell[0],
				     LAYOUT_STACK + STACK_SIZE - STACK_THREAD, 0)
			 : status;
	status = status == SUCCESS ? give_object(p, p->ec, RIGHTS_ALL, SEL_EC) : status;
	status = status == SUCCESS ? selector(&p->sc) : status;
	status = status == SUCCESS ? create_sc(p->sc, p->pd, p->ec, QPD(c->priority, c->quantum))
				   : status;
	status = status == SUCCESS ? give_object(p, p->sc, SC_CONTROL, SEL_SC) : status;
	return failed("main thread", status);
}

const char *program_build(struct program *p)
{
	struct program_info *info = NULL;
	const char *e = check_devices(p);

	e = e ? e : create_space(p);
	e = e ? e : load_image(p);
	e = e ? e : add_pages(p, &info);
	if (e)
		return e;
	describe(p, info);
	e = add_stack(p);
	e = e ? e : add_heap(p, info);
	e = e ? e : add_vm(p, info);
	e = e ? e : add_events(p);
	e = e ? e : add_ports(p);
	e = e ? e : add_interrupts(p, info);
	e = e ? e : failed("channels", channel_connect(p, info));
	return e ? e : create_thread(p);
}

static void drop_object(unsigned long *sel)
{
	if (*sel) {
		(void)revoke_self(CRD(CRD_OBJ, RIGHTS_ALL, 0, *sel));
		sel_free(*sel, 0);
		*sel = 0;
	}
}

static void drop_ports(const struct manifest_cells *c)
{
	for (unsigned i = 0; i < c->count; i += 2)
		(void)revoke_range(CRD_PIO, c->cell[i], c->cell[i + 1], PIO_ACCESS, false);
}

/*
 * First what makes it run, then all that it has: its capabilities, which may
 * be the only ones to what it created itself, its memory, its space.
 */
void program_destroy(struct program *p)
{
	drop_object(&p->sc);
	drop_object(&p->ec);
	event_destroy(p);
	if (p->pd)
		(void)revoke_remote(p->pd, CRD(CRD_OBJ, RIGHTS_ALL, 16, 0));
	if (p->ports) {
		drop_ports(&p->config->ports);
		p->ports = false;
	}
	for (unsigned i = 0; i < MANIFEST_LIST; i++)
		drop_object(&p->interrupts[i]);
	drop_object(&p->never);
	for (unsigned i = 0; i < p->block_count; i++) {
		memory_drop(&p->blocks[i]);
		memory_release(&p->blocks[i]);
	}
	p->block_count = 0;
	p->status = NULL;
	drop_object(&p->pd);
}
