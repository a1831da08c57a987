/*
 * The other processors.
 */
#pragma once

/* Boot CPU: start all that the machine lists, one after the other. */
void smp_init(void);
/* Boot CPU: everything is ready, they may call kernel_start(). */
void smp_release(void);
