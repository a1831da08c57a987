/*
 * Handlers that many tests use: one that sends back what came, and servants.
 */
#include "test.h"

void echo(struct frame *f)
{
	f->utcb->items = f->items & 0xffff;
}

static void serve(struct frame *f)
{
	struct utcb *u = f->utcb;
	uint64_t *w = u->word;
	struct syscall s;

	f->value[0] = f->items;
	f->value[1] = item_crd(u, 0);
	f->value[2] = item_how(u, 0);
	u->items = 5;
	switch (w[0]) {
	case OP_READ:
		w[0] = probe_read((void *)w[1], &w[1]);
		break;
	case OP_WRITE:
		w[0] = probe_write((void *)w[1], w[2]);
		break;
	case OP_EXECUTE:
		w[0] = probe_execute((void *)w[1]);
		break;
	case OP_IN:
		w[0] = probe_in((unsigned)w[1], &w[1]);
		break;
	case OP_OUT:
		w[0] = probe_out((unsigned)w[1], w[2]);
		break;
	case OP_LOOKUP:
		SETUP(lookup(&w[1]));
		w[0] = w[1];
		break;
	case OP_CALL:
		s = (struct syscall){w[2], w[3], w[4], w[5]};
		u->items = UTCB_ITEMS(0, f->value[7]);
		w[0] = syscall_5(w[1], &s);
		w[1] = s.rsi;
		w[2] = s.rdx;
		w[3] = s.rax;
		w[4] = s.r8;
		u->items = 5;
		break;
	case OP_SEND:
		put_item(u, 0, w[1], w[2]);
		u->items = UTCB_ITEMS(5, 1);
		break;
	case OP_ITEM:
		f->value[7] = 1;
		put_item(u, 0, w[1], w[2]);
		break;
	}
}

struct frame *make_servant(unsigned long pd)
{
	struct frame *f = make_handler(pd, boot_cpu, serve);

	f->pt = make_portal(f, 0, 0);
	return f;
}

static uint64_t ask_words(const struct frame *servant, enum servant_op op, uint64_t a, uint64_t b,
			  unsigned words)
{
	my_utcb->word[0] = op;
	my_utcb->word[1] = a;
	my_utcb->word[2] = b;
	my_utcb->items = words;
	SETUP(call(servant->pt));
	return my_utcb->word[0];
}

uint64_t ask(const struct frame *servant, enum servant_op op, uint64_t a, uint64_t b)
{
	return ask_words(servant, op, a, b, 3);
}

uint64_t ask_call(const struct frame *servant, uint64_t rdi, uint64_t rsi, uint64_t rdx,
		  uint64_t rax, uint64_t r8)
{
	my_utcb->word[3] = rdx;
	my_utcb->word[4] = rax;
	my_utcb->word[5] = r8;
	return ask_words(servant, OP_CALL, rdi, rsi, 6);
}

void send_item(struct frame *servant, uint64_t crd, uint64_t how)
{
	set_item(crd, how);
	my_utcb->word[0] = OP_NOTHING;
	my_utcb->items = UTCB_ITEMS(1, 1);
	SETUP(call(servant->pt));
}

void open_windows(struct frame *servant, uint64_t translate, uint64_t window)
{
	servant->translate = translate;
	servant->delegate = window;
	ask(servant, OP_NOTHING, 0, 0);
}
