/*
 * The manifest: a flattened device tree that names programs and VMs. The
 * properties of a node are in docs/manifest.md, and in manifest.c's tables.
 *
 * A node with an error is reported and left out; the others stay.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MANIFEST_PROGRAMS = 32,
	MANIFEST_NAME = 32,   /* bytes, of programs, modules, services */
	MANIFEST_TEXT = 1024, /* bytes, of arguments */
	MANIFEST_LIST = 16,   /* entries of any list */
	MANIFEST_PATH = 64,
};

/* A VM's memory: all that is left. */
#define MANIFEST_MOST UINT32_MAX

/* Strings one after the other, as `count` names. */
struct manifest_names {
	unsigned count;
	char name[MANIFEST_LIST][MANIFEST_NAME];
};

struct manifest_cells {
	unsigned count;
	uint32_t cell[MANIFEST_LIST];
};

struct manifest_program {
	char name[MANIFEST_NAME]; /* of the node */
	char path[MANIFEST_PATH];
	char module[MANIFEST_NAME];
	char arguments[MANIFEST_TEXT];
	bool enabled;
	uint32_t heap;		    /* KiB */
	uint32_t kernel_memory;	    /* pages */
	uint32_t priority, quantum; /* quantum: microseconds */
	uint32_t restart;	    /* how often after it died */
	struct manifest_cells cpus;
	struct manifest_cells ports;	  /* first, count, first, count, ... */
	struct manifest_cells interrupts; /* GSIs */
	struct manifest_names services;	  /* that it offers */
	struct manifest_names channels;	  /* services that it uses */

	/* Of a VM. */
	bool vm;
	uint32_t memory; /* MiB, or MANIFEST_MOST */
	uint32_t vcpus;
	char kernel[MANIFEST_NAME]; /* modules */
	char initrd[MANIFEST_NAME];
	char command_line[MANIFEST_TEXT];
};

struct manifest {
	bool exit_when_done;
	unsigned program_count;
	struct manifest_program programs[MANIFEST_PROGRAMS];
};

/* Where complaints go: lines without their end. */
struct manifest_report {
	void (*line)(const char *text);
};

/*
 * Apply the words of a command line to a tree, which has room to grow:
 * PATH.PROPERTY=VALUE (PATH absolute or an alias), enable=PATH,
 * disable=PATH. Other words are left to others: no complaint.
 */
void manifest_override(void *tree, const char *line, const struct manifest_report *report);

/* Read a tree; false if it is none at all. */
[[nodiscard]] bool manifest_parse(const void *tree, struct manifest *manifest,
				  const struct manifest_report *report);
