/*
 * From the tree to struct manifest, by a table of properties.
 */
#include "manifest.h"

#include <libfdt.h>

#include <lib/print.h>
#include <lib/string.h>

enum kind {
	TEXT,	/* char[limit] */
	NUMBER, /* uint32_t, low to high */
	MEMORY, /* the same, or the string "max" */
	CELLS,	/* struct manifest_cells, each low to high */
	PAIRS,	/* the same, an even number of them */
	NAMES,	/* struct manifest_names */
	STATUS, /* bool: "okay" or "disabled" */
};

enum { ANY = 0, VM = 1, REQUIRED = 2 };

struct property {
	const char *name;
	enum kind kind;
	size_t offset;
	uint32_t low, high; /* TEXT: high bytes with the 0 */
	unsigned where;	    /* ANY, VM, REQUIRED */
};

#define AT(field) offsetof(struct manifest_program, field)

static const struct property properties[] = {
	{"module", TEXT, AT(module), 0, MANIFEST_NAME, REQUIRED},
	{"arguments", TEXT, AT(arguments), 0, MANIFEST_TEXT, ANY},
	{"status", STATUS, AT(enabled), 0, 0, ANY},
	{"heap", NUMBER, AT(heap), 64, 1 << 20, ANY},
	{"kernel-memory", NUMBER, AT(kernel_memory), 16, 1 << 20, ANY},
	{"priority", NUMBER, AT(priority), 1, 100, ANY},
	{"quantum", NUMBER, AT(quantum), 100, 1000000, ANY},
	{"restart", NUMBER, AT(restart), 0, 1000000, ANY},
	{"cpus", CELLS, AT(cpus), 0, 63, ANY},
	{"ports", PAIRS, AT(ports), 0, 0xffff, ANY},
	{"interrupts", CELLS, AT(interrupts), 0, 1023, ANY},
	{"services", NAMES, AT(services), 0, 0, ANY},
	{"channels", NAMES, AT(channels), 0, 0, ANY},
	{"memory", MEMORY, AT(memory), 16, 1 << 24, VM | REQUIRED},
	{"vcpus", NUMBER, AT(vcpus), 1, 1, VM},
	{"kernel", TEXT, AT(kernel), 0, MANIFEST_NAME, VM},
	{"initrd", TEXT, AT(initrd), 0, MANIFEST_NAME, VM},
	{"command-line", TEXT, AT(command_line), 0, MANIFEST_TEXT, VM},
};

enum { PROPERTIES = sizeof(properties) / sizeof(*properties) };

static const struct manifest_program defaults = {
	.enabled = true,
	.heap = 256,
	.kernel_memory = 256,
	.priority = 20,
	.quantum = 10000,
	.cpus = {.count = 1, .cell = {0}},
	.vcpus = 1,
};

/* Where we are, for complaints. */
struct context {
	const void *tree;
	int node;
	char path[MANIFEST_PATH];
	const struct manifest_report *report;
	unsigned errors;
};

[[gnu::format(printf, 2, 3)]] static void complain(struct context *c, const char *format, ...)
{
	char text[256];
	va_list list;
	int n = snprintf(text, sizeof(text), "manifest: %s: ", c->path);

	va_start(list, format);
	vsnprintf(text + n, sizeof(text) - (size_t)n, format, list);
	va_end(list);
	c->report->line(text);
	c->errors++;
}

static void set_path(struct context *c)
{
	if (fdt_get_path(c->tree, c->node, c->path, sizeof(c->path)) != 0)
		string_copy(c->path, "(a long path)", sizeof(c->path));
}

/* Does the value consist of whole strings, at least one? */
static bool is_text(const char *value, int length)
{
	return length > 0 && value[length - 1] == 0;
}

static void read_text(struct context *c, const struct property *p, const char *value, int length,
		      void *to)
{
	if (!is_text(value, length) || (int)strlen(value) + 1 != length)
		complain(c, "%s must be one string, in quotes", p->name);
	else if ((uint32_t)length > p->high)
		complain(c, "%s is too long, at most %u characters", p->name, p->high - 1);
	else
		memcpy(to, value, (size_t)length);
}

static uint32_t cell(const void *value, int i)
{
	const uint8_t *b = (const uint8_t *)value + 4 * (size_t)i;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static bool in_limits(struct context *c, const struct property *p, uint32_t n)
{
	if (n >= p->low && n <= p->high)
		return true;
	complain(c, "%s is %u, must be from %u to %u", p->name, n, p->low, p->high);
	return false;
}

static void read_number(struct context *c, const struct property *p, const void *value, int length,
			uint32_t *to)
{
	if (p->kind == MEMORY && length == 4 && memcmp(value, "max", 4) == 0) {
		*to = MANIFEST_MOST;
	} else if (length != 4) {
		complain(c, "%s must be one number, as in <%u>%s", p->name, p->low,
			 p->kind == MEMORY ? ", or \"max\"" : "");
	} else if (in_limits(c, p, cell(value, 0))) {
		*to = cell(value, 0);
	}
}

static void read_cells(struct context *c, const struct property *p, const void *value, int length,
		       struct manifest_cells *to)
{
	int count = length / 4;

	if (length % 4 != 0 || !count || count > MANIFEST_LIST ||
	    (p->kind == PAIRS && count % 2 != 0)) {
		complain(c, "%s must be up to %d numbers%s in < >", p->name, MANIFEST_LIST,
			 p->kind == PAIRS ? ", pairs of first and count," : "");
		return;
	}
	to->count = 0;
	for (int i = 0; i < count; i++) {
		if (!in_limits(c, p, cell(value, i)))
			return;
		to->cell[to->count++] = cell(value, i);
	}
}

static void read_names(struct context *c, const struct property *p, const char *value, int length,
		       struct manifest_names *to)
{
	const char *end = value + length;

	if (!is_text(value, length)) {
		complain(c, "%s must be strings, in quotes", p->name);
		return;
	}
	to->count = 0;
	for (; value < end; value += strlen(value) + 1) {
		if (to->count == MANIFEST_LIST) {
			complain(c, "%s has more than %d names", p->name, MANIFEST_LIST);
			return;
		}
		if (!*value ||
		    string_copy(to->name[to->count], value, MANIFEST_NAME) >= MANIFEST_NAME) {
			complain(c, "%s: a name must have 1 to %d characters", p->name,
				 MANIFEST_NAME - 1);
			return;
		}
		to->count++;
	}
}

static void read_status(struct context *c, const struct property *p, const char *value, int length,
			bool *to)
{
	bool text = is_text(value, length);

	if (text && strcmp(value, "okay") == 0)
		*to = true;
	else if (text && strcmp(value, "disabled") == 0)
		*to = false;
	else
		complain(c, "%s must be \"okay\" or \"disabled\"", p->name);
}

static void read_property(struct context *c, const struct property *p, const void *value,
			  int length, uint8_t *program)
{
	void *to = program + p->offset;

	switch (p->kind) {
	case TEXT:
		read_text(c, p, value, length, to);
		break;
	case NUMBER:
	case MEMORY:
		read_number(c, p, value, length, to);
		break;
	case CELLS:
	case PAIRS:
		read_cells(c, p, value, length, to);
		break;
	case NAMES:
		read_names(c, p, value, length, to);
		break;
	case STATUS:
		read_status(c, p, value, length, to);
		break;
	}
}

static const struct property *find(const char *name, bool vm)
{
	for (unsigned i = 0; i < PROPERTIES; i++) {
		const struct property *p = &properties[i];

		if (strcmp(p->name, name) == 0 && (vm || !(p->where & VM)))
			return p;
	}
	return NULL;
}

static void check_required(struct context *c, bool vm)
{
	for (unsigned i = 0; i < PROPERTIES; i++) {
		const struct property *p = &properties[i];

		if ((p->where & REQUIRED) && (vm || !(p->where & VM)) &&
		    !fdt_getprop(c->tree, c->node, p->name, NULL))
			complain(c, "%s is missing", p->name);
	}
}

static void check_ports(struct context *c, const struct manifest_cells *ports)
{
	for (unsigned i = 0; i + 1 < ports->count; i += 2) {
		if (ports->cell[i + 1] == 0 || ports->cell[i] + ports->cell[i + 1] > 0x10000) {
			complain(c, "ports: %#x has no %u ports from there on", ports->cell[i],
				 ports->cell[i + 1]);
		}
	}
}

static void read_name(struct context *c, struct manifest_program *p)
{
	const char *name = fdt_get_name(c->tree, c->node, NULL);

	if (!name || !*name || string_copy(p->name, name, sizeof(p->name)) >= sizeof(p->name))
		complain(c, "the node's name must have 1 to %d characters", MANIFEST_NAME - 1);
	string_copy(p->path, c->path, sizeof(p->path));
}

/* Read a node; false if it had an error. */
static bool read_program(struct context *c, bool vm, struct manifest_program *program)
{
	int at, length;

	*program = defaults;
	program->vm = vm;
	c->errors = 0;
	set_path(c);
	read_name(c, program);
	fdt_for_each_property_offset(at, c->tree, c->node)
	{
		const char *name;
		const void *value = fdt_getprop_by_offset(c->tree, at, &name, &length);
		const struct property *p = value ? find(name, vm) : NULL;

		if (p)
			read_property(c, p, value, length, (uint8_t *)program);
		else
			complain(c, "unknown property %s", value ? name : "(unreadable)");
	}
	check_required(c, vm);
	check_ports(c, &program->ports);
	return c->errors == 0;
}

static bool is_duplicate(struct context *c, const struct manifest *m, const char *name)
{
	for (unsigned i = 0; i < m->program_count; i++) {
		if (strcmp(m->programs[i].name, name) == 0) {
			complain(c, "%s has the same name", m->programs[i].path);
			return true;
		}
	}
	return false;
}

/* All children of /programs or /vms. */
static void read_programs(struct context *c, const char *path, bool vm, struct manifest *m)
{
	int parent = fdt_path_offset(c->tree, path), node;

	if (parent < 0)
		return;
	fdt_for_each_subnode(node, c->tree, parent)
	{
		c->node = node;
		if (m->program_count == MANIFEST_PROGRAMS) {
			set_path(c);
			complain(c, "more than %d programs and VMs", MANIFEST_PROGRAMS);
			return;
		}
		if (read_program(c, vm, &m->programs[m->program_count]) &&
		    !is_duplicate(c, m, m->programs[m->program_count].name))
			m->program_count++;
	}
}

bool manifest_parse(const void *tree, struct manifest *manifest,
		    const struct manifest_report *report)
{
	struct context c = {.tree = tree, .report = report};

	manifest->program_count = 0;
	manifest->exit_when_done = false;
	if (fdt_check_header(tree) != 0) {
		c.path[0] = '/';
		complain(&c, "not a flattened device tree");
		return false;
	}
	manifest->exit_when_done = fdt_getprop(tree, 0, "exit-when-done", NULL) != NULL;
	read_programs(&c, "/programs", false, manifest);
	read_programs(&c, "/vms", true, manifest);
	return true;
}
