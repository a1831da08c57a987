/*
 * The 16550A (National Semiconductor PC16550D data sheet).
 *
 * The interrupt is an edge: uart_service goes on until the device has no
 * reason left, so that the next reason is a new edge. That there is room to
 * send is a reason only while something waits for it.
 *
 * uart_lock guards the registers, `paused`, `sending` and the producer side of
 * the ring.
 */
#include "uart.h"

#include <stdbool.h>

#include <lib/console.h>
#include <lib/io.h>
#include <lib/lock.h>
#include <lib/syscall.h>
#include <lib/thread.h>

enum {
	COM1 = 0x3f8,
	RBR = 0,
	THR = 0,
	DLL = 0,
	IER = 1,
	DLM = 1,
	IIR = 2,
	FCR = 2,
	LCR = 3,
	MCR = 4,
	LSR = 5,
	MSR = 6,

	IER_RDA = 1 << 0,
	IER_THRE = 1 << 1,
	IIR_NONE = 1 << 0,
	FCR_ENABLE = 1 << 0,
	FCR_CLEAR = 3 << 1,
	FCR_TRIGGER_8 = 2 << 6,
	LCR_8N1 = 3,
	LCR_DLAB = 1 << 7,
	MCR_DTR = 1 << 0,
	MCR_RTS = 1 << 1,
	MCR_OUT2 = 1 << 3,
	LSR_DR = 1 << 0,
	LSR_THRE = 1 << 5,

	DIVISOR_115200 = 1,
	FIFO = 16,
	RING = 65536,
};

static struct lock uart_lock;
static unsigned long interrupt_sm, wake_sm;
static bool paused;  /* the ring is full: input is held off */
static bool sending; /* more is to go out than fits now */

static struct ring ring;
static uint8_t ring_data[RING];

static uint8_t get(unsigned reg)
{
	return in8((uint16_t)(COM1 + reg));
}

static void set(unsigned reg, unsigned value)
{
	out8((uint16_t)(COM1 + reg), (uint8_t)value);
}

static void set_reasons(void)
{
	set(IER, (paused ? 0u : IER_RDA) | (sending ? IER_THRE : 0u));
}

static void set_flow(bool receive)
{
	paused = !receive;
	set(MCR, MCR_DTR | MCR_OUT2 | (receive ? MCR_RTS : 0));
	set_reasons();
}

static void set_sending(bool more)
{
	if (more != sending) {
		sending = more;
		set_reasons();
	}
}

static void receive(void)
{
	while (!paused && (get(LSR) & LSR_DR)) {
		uint8_t byte = get(RBR);

		ring_write(&ring, ring_data, RING, &byte, 1);
		if (ring_used(&ring, RING) == RING)
			set_flow(false);
	}
}

/* Reading IIR clears a transmit interrupt, MSR a modem one. */
static void uart_service(void)
{
	lock_acquire(&uart_lock);
	do {
		receive();
		get(MSR);
	} while (!(get(IIR) & IIR_NONE));
	lock_release(&uart_lock);
}

static void run(void *argument)
{
	(void)argument;
	(void)sm_down(interrupt_sm, 1); /* over at once: from now on there are interrupts */
	do {
		uart_service();
		(void)sm_up(wake_sm);
	} while (sm_down(interrupt_sm, 0) == SUCCESS);
	thread_stop();
}

static void reset(void)
{
	set(IER, 0);
	set(LCR, LCR_DLAB);
	set(DLL, DIVISOR_115200);
	set(DLM, 0);
	set(LCR, LCR_8N1);
	set(FCR, FCR_ENABLE | FCR_CLEAR | FCR_TRIGGER_8);
	set_flow(true);
}

enum status uart_init(unsigned long interrupt, unsigned long wake, unsigned cpu, unsigned priority)
{
	enum status status = lock_init(&uart_lock);

	interrupt_sm = interrupt;
	wake_sm = wake;
	reset();
	if (status == SUCCESS && !thread_create("uart", cpu, priority, 0, run, NULL, &status))
		return status;
	return status;
}

size_t uart_read(void *data, size_t n)
{
	size_t done = ring_read(&ring, ring_data, RING, data, n);

	if (done && __atomic_load_n(&paused, __ATOMIC_ACQUIRE)) {
		lock_acquire(&uart_lock);
		set_flow(true);
		lock_release(&uart_lock);
	}
	return done;
}

/* An empty transmitter takes a whole FIFO's worth. */
size_t uart_write(const uint8_t *data, size_t n)
{
	size_t done = 0;

	lock_acquire(&uart_lock);
	while (done < n && (get(LSR) & LSR_THRE))
		for (unsigned i = 0; i < FIFO && done < n; i++)
			set(THR, data[done++]);
	set_sending(done < n);
	lock_release(&uart_lock);
	return done;
}
