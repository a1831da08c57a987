/*
 * The address space and the selectors of a program, as root sets them up.
 * Assembly and linker scripts include this too: numbers only.
 *
 * Root itself has its image, its UTCB and the HIP where the kernel puts them,
 * and the rest as here.
 */
#pragma once

/* Image: all its segments lie in here. */
#define LAYOUT_IMAGE	 0x1000000
#define LAYOUT_IMAGE_END 0x40000000

/* Memory that root gives a program. */
#define LAYOUT_HEAP	0x100000000
#define LAYOUT_GUEST	0x100000000000 /* a VM's RAM; 1 GiB aligned */
#define LAYOUT_MODULES	0x600000000000
#define LAYOUT_CHANNELS 0x7fff00000000 /* shared with others */

/* UTCBs of the threads that a program makes. */
#define LAYOUT_UTCBS	 0x7fff80000000
#define LAYOUT_UTCBS_END 0x7fff90000000

/* The main thread, and what root tells and is told. */
#define LAYOUT_STACK	 0x7fffbfe00000 /* its lowest address */
#define LAYOUT_UTCB	 0x7fffbff00000
#define LAYOUT_STATUS	 0x7fffbff20000 /* struct program_status */
#define LAYOUT_INFO	 0x7fffbff40000 /* struct program_info */
#define LAYOUT_INFO_SIZE 0x2000

/*
 * Every stack has this size and is aligned to it; struct thread lies at its
 * top, so that a thread finds itself by its stack pointer.
 */
#define STACK_SIZE   0x10000
#define STACK_THREAD 64 /* bytes at the top for struct thread */

/* Selectors. Below: the portals of the main thread's events. */
#define SEL_PD	       32     /* its own PD (root too) */
#define SEL_EC	       33     /* its main EC */
#define SEL_SC	       34     /* its main SC */
#define SEL_ROOT       40     /* portal to root, see request.h */
#define SEL_NEVER      41     /* an SM that nobody ups */
#define SEL_SERVICES   0x60   /* portals it serves, in order */
#define SEL_CHANNELS   0x70   /* portals it may call, in order */
#define SEL_INTERRUPTS 0x80   /* semaphores of its GSIs, in order */
#define SEL_CONSOLES   0x90   /* CONSOLE_SELS each, console.h */
#define SEL_EVENTS     0x100  /* portals of a thread's events: */
#define SEL_EVENTS_CPU 32     /* so many for each CPU */
#define SEL_CLIENTS    0xc00  /* the console service's clients */
#define SEL_FREE       0x1000 /* from here on sel_alloc's */
#define SEL_END	       0x10000
