/*
 * What main.c needs of ecs.c beside test.h.
 */
#pragma once

#include "test.h"

/* The common handlers. */
void ecs_init(void);
void ecs_watchdog(function *run, unsigned priority);
