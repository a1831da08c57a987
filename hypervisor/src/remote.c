/*
 * Calls of handlers on other CPUs.
 *
 * An EC that makes one has a proxy: an EC that never leaves the kernel, with
 * the PD and UTCB of its home, on an SC that has the priority of whoever pays
 * for the caller. The proxy makes the call on the handler's CPU, so that help,
 * sleep, death and replies are what they are in any call; what is here is only
 * the way there and back. Its home sleeps meanwhile: of the two only one can
 * run, and each sends the other on its way as the last that it does.
 *
 * A proxy is made for the first such call and stays until its home ends. When
 * it has nothing to do its SC is parked at it.
 */
#include "ipc.h"

#include "sc.h"

struct ec *remote_proxy(struct ec *home)
{
	struct pd *owner = home->pd;
	struct ec *proxy = home->proxy ?: ec_alloc(owner, home->cpu);
	struct sc *sc;

	if (!proxy || home->proxy)
		return proxy;
	proxy->home = home;
	proxy->utcb = home->utcb;
	sc = sc_create(owner, proxy, 0, 0);
	if (!sc) {
		object_put(&proxy->object);
		return NULL;
	}
	proxy->sc = proxy->own_sc = sc;
	proxy->blocked = 1;
	list_append(&proxy->parked, &sc->queue);
	return home->proxy = proxy;
}

struct ec *remote_send(struct ec *self, uint32_t cpu, struct ec *(*work)(struct ec *))
{
	const struct sc *payer = this_cpu()->sc;
	struct ec *proxy = self->proxy;

	proxy->cpu = proxy->sc->cpu = cpu;
	proxy->sc->priority = payer->priority;
	proxy->sc->quantum = payer->quantum;
	proxy->regs.rdi = self->regs.rdi;
	ec_set_work(proxy, work);
	self->callee = proxy;
	ec_post(proxy, PENDING_WAKE);
	return ec_block(self);
}

/* Its home may run, and use it, from now on. */
static void go_home(struct ec *proxy)
{
	struct ec *home = proxy->home;

	home->callee = NULL;
	home->regs.rdi = proxy->regs.rdi;
	ec_post(home, PENDING_WAKE | (proxy->dead ? PENDING_KILL : 0));
}

struct ec *remote_return(struct ec *proxy)
{
	struct ec *next = ec_block(proxy);

	this_cpu()->cross_time += proxy->sc->time;
	proxy->sc->time = 0;
	proxy->home->time += proxy->time;
	proxy->time = 0;
	go_home(proxy);
	return next;
}

void remote_cancel(struct ec *proxy)
{
	proxy->blocked = 1;
	list_append(&proxy->parked, &proxy->sc->queue);
	go_home(proxy);
}
