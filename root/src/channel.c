/*
 * Channels between programs.
 *
 * Consoles: every program has a line console ("log"), a VM also its guest's
 * raw one. Rings and semaphores are root's and stay when either end dies.
 * Services: portals that the server puts at SEL_SERVICES; root passes them on
 * to the clients that the manifest names.
 */
#include "program.h"

#include <lib/log.h>
#include <lib/message.h>
#include <lib/print.h>
#include <lib/sel.h>
#include <lib/string.h>

enum { LINKS = INFO_CHANNELS, CONSOLE_ORDER = 2 };

_Static_assert(1 << CONSOLE_ORDER == CONSOLE_SELS, "selectors of a console");
_Static_assert(SEL_CLIENTS + LINKS * CONSOLE_SELS <= SEL_FREE, "layout");

static const char console_service[] = "console";

/* A console between a program (null: root itself) and the service. */
struct link {
	const struct manifest_program *program;
	char name[INFO_NAME]; /* shown to the user */
	const char *channel;  /* the program's name for it */
	bool raw;
	struct block block;
	struct console_ring *ring;
	unsigned long sel; /* CONSOLE_SELS; WORK is shared */
};

static struct link links[LINKS];
static unsigned link_count;
static unsigned long work_sm;
static struct console root_console;

bool channel_is_console(const struct program *p)
{
	const struct manifest_names *s = &p->config->services;

	for (unsigned i = 0; i < s->count; i++)
		if (strcmp(s->name[i], console_service) == 0)
			return true;
	return false;
}

static enum status create(struct link *l)
{
	void *at;
	enum status status;

	if (!memory_allocate(sizeof(struct console_ring), sizeof(struct console_ring), &l->block))
		return OUT_OF_MEMORY;
	status = memory_take(&l->block, MEM_R | MEM_W, &at);
	if (status != SUCCESS)
		return status;
	memset(at, 0, sizeof(struct console_ring));
	l->ring = at;
	l->sel = sel_alloc(CONSOLE_ORDER);
	if (!l->sel)
		return OUT_OF_MEMORY;
	status = delegate_range(SEL_PD, CRD_OBJ, work_sm, 1, RIGHTS_ALL, 0, SEL_PD,
				l->sel + CONSOLE_WORK);
	status = status == SUCCESS ? create_sm(l->sel + CONSOLE_INPUT, SEL_PD, 0) : status;
	return status == SUCCESS ? create_sm(l->sel + CONSOLE_SPACE, SEL_PD, 0) : status;
}

static void add(const struct manifest_program *program, const char *prefix, const char *name,
		const char *channel, bool raw)
{
	struct link *l = &links[link_count];
	enum status status = OUT_OF_MEMORY;

	if (link_count < LINKS) {
		*l = (struct link){
			.program = program,
			.channel = channel,
			.raw = raw,
		};
		snprintf(l->name, sizeof(l->name), "%s%s", prefix, name);
		status = create(l);
	}
	if (status == SUCCESS)
		link_count++;
	else
		log_error("no console for %s%s", prefix, name);
}

static bool offers_console(const struct manifest_program *p)
{
	struct program probe = {.config = p};

	return channel_is_console(&probe);
}

/* Root must never wait for a program: what does not fit is dropped. */
static void write_console(const char *text, size_t n)
{
	(void)console_try_write(&root_console, text, n);
}

void channel_init(const struct manifest *manifest)
{
	work_sm = sel_alloc(0);
	if (!work_sm || create_sm(work_sm, SEL_PD, 0) != SUCCESS) {
		log_error("no semaphore for consoles");
		return;
	}
	add(NULL, "", "root", "log", false);
	for (unsigned i = 0; i < manifest->program_count; i++) {
		const struct manifest_program *p = &manifest->programs[i];

		if (p->vm)
			add(p, "", p->name, "console", true);
		if (!offers_console(p))
			add(p, p->vm ? "vm " : "", p->name, "log", false);
	}
}

void channel_console_runs(bool runs)
{
	static void (*direct)(const char *text, size_t n);

	root_console.ring = links[0].ring;
	root_console.sel = links[0].sel;
	if (!root_console.lock.sm && lock_init(&root_console.lock) != SUCCESS)
		return;
	direct = direct ? direct : log_sink;
	log_sink = runs ? write_console : direct;
}

static bool at_line_begin(const struct console_ring *r)
{
	return !r->tx.head || r->tx_data[(r->tx.head - 1) % CONSOLE_TX] == '\n';
}

/*
 * The program is gone: on its raw console what comes next begins a line, and
 * what was typed for it is forgotten. Root stands in for the dead side.
 */
void channel_end(const struct program *p)
{
	for (unsigned i = 0; i < link_count; i++) {
		struct console_ring *r = links[i].ring;

		if (links[i].program != p->config)
			continue;
		r->rx.tail = __atomic_load_n(&r->rx.head, __ATOMIC_ACQUIRE);
		if (links[i].raw && !at_line_begin(r)) {
			ring_write(&r->tx, r->tx_data, CONSOLE_TX, "\r\n", 2);
			(void)sm_up(work_sm);
		}
	}
}

/* Has the console taken everything that was written to it? */
bool channel_drained(void)
{
	for (unsigned i = 0; i < link_count; i++)
		if (ring_used(&links[i].ring->tx, CONSOLE_TX))
			return false;
	return true;
}

static enum status give_sm(const struct link *l, unsigned which, unsigned rights,
			   const struct program *p, unsigned long to)
{
	return delegate_range(SEL_PD, CRD_OBJ, l->sel + which, 1, rights, 0, p->pd, to + which);
}

/* rights: of the three semaphores, in their order. */
static enum status connect(const struct link *l, const struct program *p, const unsigned rights[3],
			   unsigned long sel, uint64_t address)
{
	enum status status = memory_give(&l->block, MEM_R | MEM_W, 0, p->pd, address);

	for (unsigned i = 0; i < 3 && status == SUCCESS; i++)
		status = give_sm(l, i, rights[i], p, sel);
	return status;
}

static struct info_channel *new_channel(struct program_info *info, enum info_channel_kind kind,
					const char *name)
{
	struct info_channel *c = &info->channels[info->channel_count];

	if (info->channel_count == INFO_CHANNELS)
		return NULL;
	info->channel_count++;
	c->kind = kind;
	string_copy(c->name, name, sizeof(c->name));
	return c;
}

static enum status connect_console(const struct link *l, unsigned i, enum info_channel_kind kind,
				   const struct program *p, struct program_info *info)
{
	static const unsigned client_rights[3] = {
		SM_RIGHT_UP,
		SM_RIGHT_DOWN,
		SM_RIGHT_DOWN,
	};
	static const unsigned service_rights[3] = {
		SM_RIGHT_UP | SM_RIGHT_DOWN,
		SM_RIGHT_UP,
		SM_RIGHT_UP,
	};
	bool client = kind == CHANNEL_CONSOLE;
	struct info_channel *c = new_channel(info, kind, client ? l->channel : l->name);

	if (!c)
		return OUT_OF_MEMORY;
	c->flags = l->raw ? CHANNEL_RAW : 0;
	c->selector = (client ? SEL_CONSOLES : SEL_CLIENTS) + i * CONSOLE_SELS;
	c->address = LAYOUT_CHANNELS + i * sizeof(struct console_ring);
	c->size = sizeof(struct console_ring);
	return connect(l, p, client ? client_rights : service_rights, c->selector, c->address);
}

static enum status connect_consoles(struct program *p, struct program_info *info)
{
	bool service = channel_is_console(p);
	enum status status = SUCCESS;
	unsigned n = 0;

	for (unsigned i = 0; i < link_count && status == SUCCESS; i++)
		if (service)
			status = connect_console(&links[i], i, CHANNEL_CLIENT, p, info);
		else if (links[i].program == p->config)
			status = connect_console(&links[i], n++, CHANNEL_CONSOLE, p, info);
	return status;
}

enum status channel_give_service(struct program *client, unsigned number)
{
	unsigned at;
	const char *name = client->config->channels.name[number];
	struct program *server = program_of_service(name, &at);

	if (!server || !server->ready)
		return BAD_PARAMETER;
	return delegate_range(server->pd, CRD_OBJ, SEL_SERVICES + at, 1, PT_CALL | PT_CALL_REMOTE,
			      0, client->pd, SEL_CHANNELS + number);
}

static enum status list_services(const struct manifest_names *names, enum info_channel_kind kind,
				 unsigned first, struct program_info *info)
{
	for (unsigned i = 0; i < names->count; i++) {
		struct info_channel *c = new_channel(info, kind, names->name[i]);

		if (!c)
			return OUT_OF_MEMORY;
		c->selector = first + i;
	}
	return SUCCESS;
}

static enum status connect_services(struct program *p, struct program_info *info)
{
	enum status status = list_services(&p->config->services, CHANNEL_SERVICE, SEL_SERVICES,
					   info);

	if (status == SUCCESS)
		status = list_services(&p->config->channels, CHANNEL_PORTAL, SEL_CHANNELS, info);
	for (unsigned i = 0; i < p->config->channels.count && status == SUCCESS; i++)
		status = channel_give_service(p, i);
	return status;
}

enum status channel_connect(struct program *p, struct program_info *info)
{
	enum status status = connect_consoles(p, info);

	return status == SUCCESS ? connect_services(p, info) : status;
}
