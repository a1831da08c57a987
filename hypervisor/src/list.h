/*
 * A doubly linked ring with a head; the links are embedded in what it links.
 */
#pragma once

#include "types.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

/* At the end, when `head` is the ring's head; or before any element. */
static inline void list_append(struct list *head, struct list *l)
{
	l->next = head;
	l->prev = head->prev;
	head->prev->next = l;
	head->prev = l;
}

static inline void list_prepend(struct list *head, struct list *l)
{
	list_append(head->next, l);
}

/* For an element that will be inserted again before it is removed again. */
static inline void list_unlink(struct list *l)
{
	l->next->prev = l->prev;
	l->prev->next = l->next;
}

/* The element is linked to itself afterwards, so removing twice is harmless. */
static inline void list_remove(struct list *l)
{
	list_unlink(l);
	list_init(l);
}
