/*
 * SVM inside: what its files share. svm.c turns it on, makes vCPUs and gets
 * them ready to run, and is where exits arrive in C; svm_state.c moves their
 * state, svm_entry.S is the way in and out of the guest.
 */
#pragma once

#include "vcpu.h"
#include "vmcb.h"

struct svm {
	struct vcpu vcpu; /* first */

	struct vmcb *vmcb;  /* the block */
	uint64_t host_phys; /* VMLOAD's: the kernel's state */
	uint32_t asked[2];  /* intercept words, as the VMM has them */
	uint8_t window;	    /* an exit was asked for */
	uint8_t watch_cr4;  /* its writes exit, or CR0's changes: change_cr() */
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

/*
 * The event is none that the guest ran into: what was to be injected at the
 * next entry still is.
 */
static inline bool svm_not_entered(const struct ec *ec)
{
	return ec->event >= EVENT_SVM_INVALID;
}

/* The processor is to read this of the VMCB again: CLEAN_ bits. */
static inline void svm_dirty(struct vmcb *b, uint32_t what)
{
	b->clean &= ~what;
}

/* CPUs without this cannot tell which register MOV to CR8 names. */
extern bool svm_decode_assists;

/* svm_entry.S calls them: before the guest is entered, when something changed; */
void svm_prepare(struct ec *ec);
/* and at an exit. Returns the EC to run next. */
struct ec *svm_exit(struct ec *ec);
/* Debug registers are its own to use from now on, and switched. Returns the EC. */
struct ec *svm_use_debug(struct ec *ec);

/* svm_state.c */
void svm_save(struct ec *ec, struct utcb *utcb, uint64_t mtd);
void svm_load(struct ec *ec, const struct utcb *utcb, uint64_t mtd);
void svm_add_tsc(struct ec *ec, uint64_t ticks);
/* The intercepts that are in force: the kernel's and the VMM's. */
void svm_set_intercepts(struct svm *v);
/* State that no processor is asked to enter. */
bool svm_illegal(const struct vmcb *b);

/* svm_entry.S */
extern const char svm_resume[], svm_vmrun[];
