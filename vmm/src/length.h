/*
 * The length of an instruction that exited, for processors that do not tell it:
 * its bytes are looked at. They are known but for prefixes.
 */
#pragma once

#include <stdint.h>

struct vcpu;

/* An opcode without operands. */
struct opcode_bytes {
	uint8_t count;
	uint8_t byte[3];
	uint8_t other; /* that the last may be as well; 0: none */
};

/*
 * A page of code that was found before. It is a hint only: the bytes there
 * are compared again each time, so that a wrong one costs time and no more.
 */
struct length_cache {
	uint64_t cr3, page; /* guest-virtual; code NULL: empty */
	const uint8_t *code;
};

/* Needs MTD_CODE; sets the UTCB's length. Fails the VM if it is not there. */
void length_find(struct vcpu *v, const struct opcode_bytes *opcode);

/*
 * MOV to or from CR8: 0F 22 /0 or 0F 20 /0 with prefixes. Sets the length, and
 * gives the number of the general register.
 */
unsigned length_find_cr8(struct vcpu *v, uint8_t opcode);
