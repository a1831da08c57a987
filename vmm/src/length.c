/*
 * The bytes are found by a walk of the guest's tables, once: the page is kept
 * as a hint, and an instruction that is found there by its bytes costs no
 * walk.
 */
#include "length.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "emulate.h"
#include "vcpu.h"
#include "vm.h"

enum { PAGE = 4096 };

static bool is_prefix(uint8_t byte, bool long_mode)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64 ... 0x67:
	case 0xf0:
	case 0xf2:
	case 0xf3:
		return true;
	default:
		return long_mode && (byte & 0xf0) == 0x40;
	}
}

static uint64_t linear_rip(const struct utcb *u)
{
	/* In 64-bit mode the base of CS is 0 as well. */
	return emulate_code_bytes(u) == 8 ? u->rip : (u->rip + u->cs.base) & 0xffffffff;
}

/*
 * The processor has checked the access when it fetched: of what can fail only
 * the presence of the page is left, should somebody change tables or code at
 * the same time.
 */
static const uint8_t *page_at(struct vcpu *v, uint64_t page)
{
	const struct utcb *u = v->utcb;
	const struct paging paging = {
		.cr0 = u->cr0,
		.cr3 = u->cr3,
		.cr4 = u->cr4 & ~(uint64_t)(CR4_SMEP | CR4_SMAP),
		.efer = u->efer,
		.address_bits = cpuid_address_bits(&v->cpuid),
	};
	struct translation to;

	if (!walk(&v->vm->machine.mem, &paging, page, 0, &to))
		return NULL;
	return gmem_at(&v->vm->machine.mem, to.gpa, PAGE);
}

/* The instruction's bytes, as many as there are. */
static unsigned fetch(struct vcpu *v, uint8_t bytes[INSN_MAX])
{
	uint64_t at = linear_rip(v->utcb);
	unsigned offset = at % PAGE, count = PAGE - offset;
	const uint8_t *code = page_at(v, at - offset);

	if (code == NULL)
		return 0;
	v->length_cache = (struct length_cache){v->utcb->cr3, at - offset, code};
	if (count >= INSN_MAX) {
		memcpy(bytes, code + offset, INSN_MAX);
		return INSN_MAX;
	}
	memcpy(bytes, code + offset, count);
	code = page_at(v, at - offset + PAGE);
	if (code == NULL)
		return count;
	memcpy(bytes + count, code, INSN_MAX - count);
	return INSN_MAX;
}

/* How many of the bytes are prefixes. */
static unsigned prefixes(const struct vcpu *v, const uint8_t *bytes, unsigned count)
{
	bool long_mode = emulate_code_bytes(v->utcb) == 8;
	unsigned n = 0;

	while (n < count && is_prefix(bytes[n], long_mode))
		n++;
	return n;
}

static bool matches(const uint8_t *bytes, const struct opcode_bytes *opcode)
{
	unsigned last = opcode->count - 1u;

	for (unsigned i = 0; i < last; i++)
		if (bytes[i] != opcode->byte[i])
			return false;
	return bytes[last] == opcode->byte[last] ||
	       (opcode->other != 0 && bytes[last] == opcode->other);
}

/* Is it where the cache says, without prefixes? */
static bool is_cached(const struct vcpu *v, const struct opcode_bytes *opcode)
{
	const struct length_cache *c = &v->length_cache;
	uint64_t offset = linear_rip(v->utcb) - c->page;

	return c->code != NULL && c->cr3 == v->utcb->cr3 && offset + opcode->count <= PAGE &&
	       matches(c->code + offset, opcode);
}

void length_find(struct vcpu *v, const struct opcode_bytes *opcode)
{
	uint8_t bytes[INSN_MAX];
	unsigned count, n;

	if (is_cached(v, opcode)) {
		v->utcb->length = opcode->count;
		return;
	}
	count = fetch(v, bytes);
	n = prefixes(v, bytes, count);
	if (n + opcode->count > count || !matches(bytes + n, opcode))
		vm_fail(v, "the instruction that exited is not there");
	v->utcb->length = n + opcode->count;
}

unsigned length_find_cr8(struct vcpu *v, uint8_t opcode)
{
	uint8_t bytes[INSN_MAX];
	unsigned count = fetch(v, bytes);
	unsigned n = prefixes(v, bytes, count);
	bool long_mode = emulate_code_bytes(v->utcb) == 8;
	bool high = long_mode && n > 0 && (bytes[n - 1] & 0xf1) == 0x41;

	if (n + 3 > count || bytes[n] != 0x0f || bytes[n + 1] != opcode)
		vm_fail(v, "the instruction that exited is not there");
	v->utcb->length = n + 3;
	return (bytes[n + 2] & 7u) | (high ? 8u : 0u);
}
