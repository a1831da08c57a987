/*
 * Changes of the manifest from the command line, made in the tree before it is
 * read.
 */
#include "manifest.h"

#include <libfdt.h>

#include <lib/print.h>
#include <lib/string.h>

enum { WORD = 1024 };

static void complain(const struct manifest_report *report, const char *word, const char *why)
{
	char text[256];

	snprintf(text, sizeof(text), "manifest: option %s: %s", word, why);
	report->line(text);
}

/*
 * Copy the next word, without quotes and backslashes; null at the end, else
 * what is behind it.
 */
static const char *next_word(const char *line, char word[WORD])
{
	bool quoted = false;
	size_t n = 0;

	while (*line == ' ')
		line++;
	if (!*line)
		return NULL;
	for (; *line && (quoted || *line != ' '); line++) {
		if (*line == '"') {
			quoted = !quoted;
			continue;
		}
		if (*line == '\\' && line[1])
			line++;
		if (n < WORD - 1)
			word[n++] = *line;
	}
	word[n] = 0;
	return line;
}

/* A number becomes a cell, numbers with commas cells, all else a string. */
static int set_value(void *tree, int node, const char *name, const char *value)
{
	uint32_t cells[MANIFEST_LIST];
	unsigned count = 0;
	const char *at = value;
	char *end;

	while (*at >= '0' && *at <= '9' && count < MANIFEST_LIST) {
		cells[count++] = cpu_to_fdt32((uint32_t)strtoul(at, &end, 0));
		if (!*end)
			return fdt_setprop(tree, node, name, cells, (int)(count * sizeof(*cells)));
		if (*end != ',')
			break;
		at = end + 1;
	}
	return fdt_setprop(tree, node, name, value, (int)strlen(value) + 1);
}

static void set(void *tree, const char *word, const char *path, const char *property,
		const char *value, const struct manifest_report *report)
{
	int node = fdt_path_offset(tree, path);

	if (node < 0)
		complain(report, word, "there is no such node or alias");
	else if (set_value(tree, node, property, value) != 0)
		complain(report, word, "cannot be set");
}

static void apply(void *tree, const char *word, const struct manifest_report *report)
{
	char path[WORD], *dot;
	const char *value = strchr(word, '=');

	if (!value)
		return;
	memcpy(path, word, (size_t)(value - word));
	path[value - word] = 0;
	value++;
	dot = strrchr(path, '.');
	if (strcmp(path, "enable") == 0) {
		set(tree, word, value, "status", "okay", report);
	} else if (strcmp(path, "disable") == 0) {
		set(tree, word, value, "status", "disabled", report);
	} else if (dot) {
		*dot = 0;
		set(tree, word, path, dot + 1, value, report);
	}
}

void manifest_override(void *tree, const char *line, const struct manifest_report *report)
{
	char word[WORD];

	/* The first word is the module's name. */
	line = next_word(line, word);
	while (line && (line = next_word(line, word)))
		apply(tree, word, report);
}
