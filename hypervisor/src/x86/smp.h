/*
 * The other processors.
 */
#pragma once

#include "../types.h"

/* Boot CPU: start all that the machine lists, one after the other. */
void smp_init(void);
/* Boot CPU: everything is ready, they may go on. */
void smp_release(void);

/*
 * To wake up: a page that a CPU which starts there in real mode leaves for
 * cpu_main(), the boot CPU unless smp_restart() starts others; until released.
 * 0: there is no such page.
 */
uint64_t smp_put_trampoline(void);
/* Boot CPU: wake the others. */
void smp_restart(void);
