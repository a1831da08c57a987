/*
 * The 8259As are masked. They are also given vectors of their own, because a
 * masked one can still deliver a spurious interrupt.
 */
#include "pic.h"

#include "insn.h"

enum {
	PIC1 = 0x20,
	PIC2 = 0xa0,

	ICW1 = 0x11, /* edge, cascade, ICW4 follows */
	ICW4_8086 = 0x01,
	CASCADE_LINE = 2,
	MASK_ALL = 0xff,
};

static void init(uint16_t port, uint8_t vector, uint8_t cascade)
{
	out8(port, ICW1);
	out8(port + 1, vector);
	out8(port + 1, cascade);
	out8(port + 1, ICW4_8086);
	out8(port + 1, MASK_ALL);
}

void pic_disable(void)
{
	init(PIC1, VECTOR_PIC, 1 << CASCADE_LINE);
	init(PIC2, VECTOR_PIC + 8, CASCADE_LINE);
}
