/*
 * SVM inside: what its files share. svm.c turns it on, makes vCPUs and gets
 * them ready to run, svm_save.c and svm_load.c move their state, svm_exit.c is where exits
 * arrive in C, svm_entry.S is the way in and out of the guest.
 */
#pragma once

#include <abi/event.h>

#include "cpu.h"
#include "vcpu.h"
#include "vmcb.h"

struct svm {
	struct vcpu vcpu;		/* first */

	struct vmcb *vmcb;
	uint64_t vmcb_phys;
	uint64_t host_phys;		/* VMLOAD's: the kernel's state */
	uint8_t *guest_io;		/* I/O permission map */
	uint32_t asked[2];		/* intercept words, as the VMM has them */
	uint8_t window;			/* an exit was asked for: see below */
	uint8_t made;
};

static inline struct svm *svm_of(const struct ec *ec)
{
	return container_of(ec->vcpu, struct svm, vcpu);
}

/* Something that svm_prepare() cares for is different. */
static inline void svm_prepare_again(void)
{
	this_cpu()->vcpu_loaded = NULL;
}

/* CPUs without this cannot tell which register MOV to CR8 names. */
extern bool svm_decode_assists;

/* svm_entry.S calls it before the guest is entered, when something changed. */
void svm_prepare(struct ec *ec);

/* Parts of the MTD: registers but RIP and the general ones that most need. */
#define MTD_SOME (MTD_RSP | MTD_RFLAGS | MTD_QUAL | MTD_INJ | MTD_STA)
#define MTD_NOT_SVM ((uint64_t)(MTD_PDPTE | MTD_TPR))
#define MTD_SVM_WHOLE (MTD_WHOLE & ~MTD_NOT_SVM)
#define MTD_REST \
	(~(uint64_t)(MTD_SOME | MTD_RIP_LEN | MTD_GPRS | MTD_NOT_SVM))

/*
 * The event is none that the guest ran into: what was to be injected at the
 * next entry still is.
 */
static inline bool svm_not_entered(const struct ec *ec)
{
	return ec->event >= EVENT_SVM_INVALID;
}

/* svm_save.c, svm_load.c */
void svm_save(struct ec *ec, struct utcb *utcb, uint64_t mtd);
void svm_load(struct ec *ec, const struct utcb *utcb, uint64_t mtd);
/* The intercepts that are in force: the kernel's and the VMM's. */
void svm_set_intercepts(struct svm *v);

/* svm_exit.c; returns the EC to run next. */
struct ec *svm_exit(struct ec *ec);

/* svm_entry.S */
extern const char svm_resume[];
