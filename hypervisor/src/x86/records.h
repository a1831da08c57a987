/*
 * Records one after the other, each with its type and length: tags of
 * Multiboot 2, entries of ACPI's tables. They are not believed: a record is
 * parsed only if it has the length that its type needs and ends where all end.
 */
#pragma once

#include "../types.h"

struct records {
	struct {
		uint8_t type_size;		/* bytes of the type, which comes first */
		uint8_t length_at, length_size; /* place and bytes of the length */
		uint8_t align;			/* of each record's start */
	} layout;
	struct {
		uint32_t type, least; /* length, the record's head included */
		void (*parse)(const void *record, uint32_t length);
	} known[8]; /* the first without function is the end */
};

static inline uint32_t record_number(const char *at, unsigned size)
{
	uint32_t n = 0;

	__builtin_memcpy(&n, at, size);
	return n;
}

/* How many bytes were passed; less than `size`: a record's length is a lie. */
static inline uint32_t records_parse(const void *start, uint32_t size, const struct records *r)
{
	uint32_t least = (uint32_t)r->layout.length_at + r->layout.length_size;
	uint32_t at = 0, length;

	for (; at < size && size - at >= least;
	     at += (length + r->layout.align - 1u) & ~(r->layout.align - 1u)) {
		const char *record = (const char *)start + at;
		uint32_t type = record_number(record, r->layout.type_size);

		length = record_number(record + r->layout.length_at, r->layout.length_size);
		if (length < least || length > size - at)
			return at;
		for (unsigned i = 0; r->known[i].parse; i++)
			if (r->known[i].type == type && r->known[i].least <= length)
				r->known[i].parse(record, length);
	}
	return size;
}
