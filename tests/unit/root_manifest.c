/*
 * The manifest: what a good tree gives, that every mistake is reported with
 * the node's path and leaves the others alone, options of the command line,
 * and random damage to a whole tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "../../root/src/manifest.h"

enum { SIZE = 8192, STEPS = 20000 };

static char said[4096];
static unsigned complaints;

static void hear(const char *text)
{
	strncat(said, text, sizeof(said) - strlen(said) - 2);
	strcat(said, "\n");
	complaints++;
}

static void hear_not(const char *text)
{
	(void)text;
}

static const struct manifest_report report = {hear}, silence = {hear_not};

static void must(int result)
{
	assert_true(result >= 0);
}

static int node(void *tree, const char *parent, const char *name)
{
	int at = fdt_add_subnode(tree, fdt_path_offset(tree, parent), name);

	must(at);
	return at;
}

/* Two programs and a VM. */
static void make(void *tree)
{
	static const fdt32_t ports[2] = {0xf8030000, 0x08000000};
	int at;

	must(fdt_create_empty_tree(tree, SIZE));
	at = node(tree, "/", "aliases");
	must(fdt_setprop_string(tree, at, "guest", "/vms/linux"));
	node(tree, "/", "programs");
	at = node(tree, "/programs", "server");
	must(fdt_setprop_string(tree, at, "module", "server.elf"));
	must(fdt_setprop(tree, at, "ports", ports, sizeof(ports)));
	must(fdt_setprop(tree, at, "services", "one\0two", 8));
	at = node(tree, "/programs", "client");
	must(fdt_setprop_string(tree, at, "module", "client.elf"));
	must(fdt_setprop_string(tree, at, "status", "disabled"));
	must(fdt_setprop_u32(tree, at, "priority", 33));
	node(tree, "/", "vms");
	at = node(tree, "/vms", "linux");
	must(fdt_setprop_string(tree, at, "module", "vmm.elf"));
	must(fdt_setprop_string(tree, at, "memory", "max"));
	must(fdt_setprop_string(tree, at, "command-line", "console=ttyS0"));
}

static const struct manifest *parse(const void *tree)
{
	static struct manifest manifest;

	said[0] = 0;
	complaints = 0;
	assert_true(manifest_parse(tree, &manifest, &report));
	return &manifest;
}

static void good(void **state)
{
	const struct manifest *m;

	make(*state);
	m = parse(*state);
	assert_string_equal(said, "");
	assert_false(m->exit_when_done);
	assert_int_equal(m->program_count, 3);
	/* libfdt puts a new node in front of its brothers. */
	assert_string_equal(m->programs[1].name, "server");
	assert_string_equal(m->programs[1].module, "server.elf");
	assert_true(m->programs[1].enabled);
	assert_int_equal(m->programs[1].ports.count, 2);
	assert_int_equal(m->programs[1].ports.cell[0], 0x3f8);
	assert_int_equal(m->programs[1].services.count, 2);
	assert_string_equal(m->programs[1].services.name[1], "two");
	assert_false(m->programs[0].enabled);
	assert_int_equal(m->programs[0].priority, 33);
	assert_true(m->programs[2].vm);
	assert_int_equal(m->programs[2].memory, MANIFEST_MOST);
	assert_int_equal(m->programs[2].vcpus, 1);
	assert_string_equal(m->programs[2].command_line, "console=ttyS0");
	assert_string_equal(m->programs[2].path, "/vms/linux");
}

/* Exactly one complaint, which says this; the other two programs remain. */
static void complains(const void *tree, const char *text)
{
	const struct manifest *m = parse(tree);

	if (!strstr(said, text) || complaints != 1)
		fail_msg("expected: %s\nsaid: %s", text, said);
	assert_int_equal(m->program_count, 2);
}

static int client(void *tree)
{
	return fdt_path_offset(tree, "/programs/client");
}

static void mistakes(void **state)
{
	static const char long_name[] = "a-name-that-is-much-too-long-for-a-module";

	make(*state);
	must(fdt_setprop_u32(*state, client(*state), "colour", 1));
	complains(*state, "/programs/client: unknown property colour");
	make(*state);
	must(fdt_delprop(*state, client(*state), "module"));
	complains(*state, "/programs/client: module is missing");
	make(*state);
	must(fdt_setprop_u32(*state, client(*state), "module", 0x41414141));
	complains(*state, "module must be one string");
	make(*state);
	must(fdt_setprop(*state, client(*state), "module", "a\0b", 4));
	complains(*state, "module must be one string");
	make(*state);
	must(fdt_setprop(*state, client(*state), "module", long_name, sizeof(long_name)));
	complains(*state, "module is too long, at most 31 characters");
	make(*state);
	must(fdt_setprop_u32(*state, client(*state), "priority", 101));
	complains(*state, "priority is 101, must be from 1 to 100");
	make(*state);
	must(fdt_setprop_u64(*state, client(*state), "priority", 1));
	complains(*state, "priority must be one number, as in <1>");
	make(*state);
	must(fdt_setprop_u32(*state, client(*state), "ports", 0x60));
	complains(*state, "ports must be up to 16 numbers, pairs");
	make(*state);
	must(fdt_setprop_u64(*state, client(*state), "ports", 0x0000fff000000011));
	complains(*state, "ports: 0xfff0 has no 17 ports from there on");
	make(*state);
	must(fdt_setprop_string(*state, client(*state), "status", "maybe"));
	complains(*state, "status must be \"okay\" or \"disabled\"");
	make(*state);
	must(fdt_setprop_u32(*state, client(*state), "memory", 64));
	complains(*state, "unknown property memory");
	make(*state);
	must(fdt_setprop(*state, client(*state), "channels", "a\0", 3));
	complains(*state, "channels: a name must have 1 to 31 characters");
	make(*state);
	must(fdt_setprop_u32(*state, fdt_path_offset(*state, "/vms/linux"), "memory", 1));
	complains(*state, "/vms/linux: memory is 1, must be from 16");
	make(*state);
	must(fdt_set_name(*state, client(*state), "server2"));
	must(fdt_set_name(*state, fdt_path_offset(*state, "/vms/linux"), "server2"));
	complains(*state, "/vms/server2: /programs/server2 has the same name");
}

static void options(void **state)
{
	const struct manifest *m;

	make(*state);
	said[0] = 0;
	manifest_override(*state,
			  "root.elf enable=/programs/client verbose "
			  "guest.memory=128 guest.command-line=\"a b\" "
			  "/programs/client.cpus=1,2 /.exit-when-done=1 "
			  "disable=/programs/server",
			  &report);
	assert_string_equal(said, "");
	m = parse(*state);
	assert_string_equal(said, "");
	assert_true(m->exit_when_done);
	assert_true(m->programs[0].enabled);
	assert_false(m->programs[1].enabled);
	assert_int_equal(m->programs[0].cpus.count, 2);
	assert_int_equal(m->programs[0].cpus.cell[1], 2);
	assert_int_equal(m->programs[2].memory, 128);
	assert_string_equal(m->programs[2].command_line, "a b");
}

static void bad_options(void **state)
{
	make(*state);
	said[0] = 0;
	complaints = 0;
	manifest_override(*state, "root.elf nobody.memory=1 enable=/x = .=", &report);
	assert_non_null(strstr(said, "nobody.memory=1: there is no such node"));
	assert_non_null(strstr(said, "enable=/x: there is no such node"));
	parse(*state);
}

static void damaged(void **state)
{
	static struct manifest manifest;
	uint8_t *good_tree = malloc(SIZE);

	make(good_tree);
	srand(4);
	for (unsigned step = 0; step < STEPS; step++) {
		size_t span = fdt_totalsize(good_tree);

		memcpy(*state, good_tree, SIZE);
		/* Not the header: its size is checked by who loads it. */
		for (int n = rand() % 4; n >= 0; n--) {
			size_t at = sizeof(struct fdt_header) +
				    (size_t)rand() % (span - sizeof(struct fdt_header));

			((uint8_t *)*state)[at] = (uint8_t)rand();
		}
		(void)manifest_parse(*state, &manifest, &silence);
	}
	free(good_tree);
}

static int setup(void **state)
{
	*state = malloc(SIZE);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(good, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes, setup, teardown),
		cmocka_unit_test_setup_teardown(options, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_options, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
