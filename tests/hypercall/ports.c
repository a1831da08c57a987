/*
 * I/O ports that are delegated.
 */
#include "test.h"

enum { PORTS = 0x300 }; /* nobody's */

/* code.S: inw from PORTS. */
void insn_in16(void);

static uint64_t port_crd(unsigned order, unsigned base)
{
	return CRD(CRD_PIO, RIGHTS_ALL, order, base);
}

/* Ports can be used where they were given, and fault elsewhere. */
static void used(void)
{
	struct frame *s = make_servant(make_pd());
	uint64_t value;

	SETUP(take(port_crd(4, PORTS), 0, port_crd(4, PORTS)));
	EQUAL(probe_in(PORTS, &value), 0);
	EQUAL(probe_in(PORTS + 15, &value), 0);
	EQUAL(probe_in(PORTS + 16, &value), FAULT(VECTOR_GP));
	EQUAL(probe_in(PORTS - 1, &value), FAULT(VECTOR_GP));
	EQUAL(ask(s, OP_IN, PORTS, 0), FAULT(VECTOR_GP));
	EQUAL(give_at(s->pd, port_crd(1, PORTS + 2), ITEM_DELEGATE, port_crd(16, 0)), SUCCESS);
	for (unsigned i = 0; i < 8; i++) {
		unsigned expected = i == 2 || i == 3 ? 0 : FAULT(VECTOR_GP);

		EQUAL(ask(s, OP_IN, PORTS + i, 0), expected);
		EQUAL(ask(s, OP_OUT, PORTS + i, 0), expected);
	}
	EQUAL(ask(s, OP_LOOKUP, port_crd(0, PORTS + 3), 0), CRD(CRD_PIO, PIO_ACCESS, 1, PORTS + 2));
	SETUP(revoke_self(port_crd(4, PORTS)));
	EQUAL(ask(s, OP_IN, PORTS + 2, 0), FAULT(VECTOR_GP));
	EQUAL(probe_in(PORTS + 15, &value), FAULT(VECTOR_GP));
}

/* Ports keep their numbers: what item and window both have arrives. */
static void cut(void)
{
	struct frame *s = make_servant(make_pd());

	SETUP(take(port_crd(4, PORTS), 0, port_crd(16, 0)));
	SETUP(give_at(s->pd, port_crd(4, PORTS), ITEM(ITEM_DELEGATE, 0, 1),
		      port_crd(2, PORTS + 8)));
	SETUP(give_at(s->pd, port_crd(2, PORTS), ITEM_DELEGATE, port_crd(2, PORTS + 4)));
	for (unsigned i = 0; i < 16; i++)
		EQUAL(ask(s, OP_IN, PORTS + i, 0), i >= 8 && i < 12 ? 0 : FAULT(VECTOR_GP));
	SETUP(revoke_self(port_crd(4, PORTS)));
}

/* Without their right, in the item or the window, they do not arrive. */
static void rights(void)
{
	struct frame *s = make_servant(make_pd());
	const unsigned other = RIGHTS_ALL & ~PIO_ACCESS;
	uint64_t port = CRD(CRD_PIO, 0, 0, PORTS), value;

	SETUP(take(port | other << 2, 0, port_crd(0, PORTS)));
	SETUP(take(port_crd(0, PORTS), 0, port | other << 2));
	EQUAL(probe_in(PORTS, &value), FAULT(VECTOR_GP));
	SETUP(take(port_crd(0, PORTS), 0, port_crd(0, PORTS)));
	SETUP(give_at(s->pd, port | other << 2, ITEM_DELEGATE, port_crd(0, PORTS)));
	SETUP(give_at(s->pd, port_crd(0, PORTS), ITEM_DELEGATE, port | other << 2));
	EQUAL(ask(s, OP_LOOKUP, port, 0), 0);
	EQUAL(ask(s, OP_IN, PORTS, 0), FAULT(VECTOR_GP));
	SETUP(give_at(s->pd, port | PIO_ACCESS << 2, ITEM_DELEGATE, port | PIO_ACCESS << 2));
	EQUAL(ask(s, OP_IN, PORTS, 0), 0);
	/* The others are of no use: to take them changes nothing. */
	SETUP(revoke_self(port | other << 2));
	EQUAL(ask(s, OP_IN, PORTS, 0), 0);
	SETUP(revoke_self(port_crd(0, PORTS)));
}

/* A 16-bit access needs both ports. */
static void wide(void)
{
	SETUP(take(port_crd(0, PORTS), 0, port_crd(16, 0)));
	EQUAL(probe_in(PORTS, &(uint64_t){0}), 0);
	EQUAL(probe_call(insn_in16), FAULT(VECTOR_GP));
	SETUP(take(port_crd(0, PORTS + 1), 0, port_crd(16, 0)));
	EQUAL(probe_call(insn_in16), 0);
	SETUP(revoke_self(port_crd(1, PORTS)));
	EQUAL(probe_call(insn_in16), FAULT(VECTOR_GP));
}

/* The last port, and none beyond. */
static void end(void)
{
	uint64_t value;

	SETUP(take(port_crd(0, 0xffff), 0, port_crd(16, 0)));
	EQUAL(probe_in(0xffff, &value), 0);
	SETUP(revoke_self(port_crd(0, 0xffff)));
	EQUAL(probe_in(0xffff, &value), FAULT(VECTOR_GP));
	EQUAL(take(port_crd(0, 0x10000), 0, port_crd(0, 0x10000)), SUCCESS);
	EQUAL(take(port_crd(17, 0), 0, port_crd(17, 0)), SUCCESS);
	EQUAL(look(port_crd(0, 0x10000)), 0);
	EQUAL(look(port_crd(0, PORTS)), 0);
}

const struct test ports_tests[] = {
	{"ports.used", used, 0}, {"ports.cut", cut, 0}, {"ports.rights", rights, 0},
	{"ports.wide", wide, 0}, {"ports.end", end, 0}, {0},
};
