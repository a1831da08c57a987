/*
 * The state that the last exit did not bring is asked for.
 */
#include "report.h"

#include <lib/info.h>
#include <lib/log.h>
#include <lib/print.h>

#include "emulate.h"
#include "vcpu.h"

enum { MESSAGE = 400 }; /* bytes of a line */

#define number unsigned long long /* printf's */

static void report_general(const struct utcb *u)
{
	log_error("rax %016llx rcx %016llx rdx %016llx rbx %016llx", (number)u->rax, (number)u->rcx,
		  (number)u->rdx, (number)u->rbx);
	log_error("rsp %016llx rbp %016llx rsi %016llx rdi %016llx", (number)u->rsp, (number)u->rbp,
		  (number)u->rsi, (number)u->rdi);
	log_error("r8  %016llx r9  %016llx r10 %016llx r11 %016llx", (number)u->r8, (number)u->r9,
		  (number)u->r10, (number)u->r11);
	log_error("r12 %016llx r13 %016llx r14 %016llx r15 %016llx", (number)u->r12, (number)u->r13,
		  (number)u->r14, (number)u->r15);
	log_error("rip %016llx rflags %llx interruptibility %x injection %x", (number)u->rip,
		  (number)u->rflags, u->interruptibility, u->inject);
}

static void report_segment(const char *name, const struct segment *s)
{
	log_error("%s %04x base %016llx limit %08x rights %04x", name, s->selector, (number)s->base,
		  s->limit, s->rights);
}

static void report_segments(const struct utcb *u)
{
	const struct {
		const char *name;
		const struct segment *segment;
	} all[] = {
		{"cs  ", &u->cs},   {"ss  ", &u->ss},	{"ds  ", &u->ds}, {"es  ", &u->es},
		{"fs  ", &u->fs},   {"gs  ", &u->gs},	{"tr  ", &u->tr}, {"ldtr", &u->ldtr},
		{"gdtr", &u->gdtr}, {"idtr", &u->idtr},
	};

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++)
		report_segment(all[i].name, all[i].segment);
}

static void report_code(struct vcpu *v)
{
	struct emulation e;
	char line[3 * INSN_MAX + 1] = "";
	int used = 0;

	vcpu_emulation(v, &e);
	(void)!emulate_decode(&e);
	for (unsigned i = 0; i < e.insn.fetched; i++)
		used += snprintf(line + used, sizeof(line) - (size_t)used, " %02x", e.insn.byte[i]);
	log_error("code at rip:%s", used ? line : " cannot be read");
}

void report_vcpu(struct vcpu *v)
{
	const struct utcb *u = v->utcb;

	vcpu_need(v, MTD_REPORT);
	log_error("vcpu %u:", v->id);
	report_general(u);
	log_error("cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx dr7 %llx", (number)u->cr0,
		  (number)u->cr2, (number)u->cr3, (number)u->cr4, (number)u->efer, (number)u->dr7);
	report_segments(u);
	report_code(v);
}

static const char *const reasons[REASONS] = {
	[REASON_OTHER] = "other",   [REASON_PORT] = "port", [REASON_MEMORY] = "memory",
	[REASON_CPUID] = "cpuid",   [REASON_HLT] = "hlt",   [REASON_RDMSR] = "rdmsr",
	[REASON_WRMSR] = "wrmsr",   [REASON_CR] = "cr",	    [REASON_WINDOW] = "window",
	[REASON_RECALL] = "recall",
};

void report_count(struct vcpu *v)
{
	v->exits = status_add_counter("exits");
	for (unsigned i = 0; i < REASONS; i++)
		v->counts[i] = status_add_counter(reasons[i]);
	v->asked = status_add_counter("asked");
}

/* Benchmarks read this: docs/vmm.md has the format. */
void report_exits(const struct vcpu *v)
{
	char line[MESSAGE] = "";
	int used = 0;

	for (unsigned i = 0; i < REASONS; i++) {
		used += snprintf(line + used, sizeof(line) - (size_t)used, " %s=%llu", reasons[i],
				 (number)*v->counts[i]);
	}
	log_info("exits: %llu%s asked=%llu", (number)*v->exits, line, (number)*v->asked);
	log_info("run-ahead: runs=%llu instructions=%llu exits=%llu", (number)*v->ahead.runs,
		 (number)*v->ahead.instructions, (number)*v->ahead.saved);
}
