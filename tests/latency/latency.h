/*
 * Long work for the kernel. What is between two marks is a kind of work; each is
 * done twice, at first with few.
 */
#pragma once

#include <lib/syscall.h>

/* A lookup, which nothing else here makes. */
void mark(void);
/* Or the program ends. */
void must(enum status status);
/* Calls until the memory of what was revoked has come back. */
void settle(void);

/* What goes with the next message. */
void set_item(uint64_t crd, uint64_t how);
/* Delegate, within the PD. */
void give(uint64_t crd, uint64_t how, uint64_t window);

/* crowd.c: many ECs, 2^order, that wait for the same or for each other. */
void crowd(unsigned order);
/* What is derived from so many that are gone is translated, and revoked. */
void ancestors(unsigned order);

/* start.S: where portals lead; the function gets their id, and returns to reply. */
extern const char entry_handler[];
void latency_handler(unsigned long id);
