/*
 * National Semiconductor PC16550D data sheet.
 *
 * What is written is on the wire at once, so the transmitter is empty unless
 * the wire takes no more. Characters arrive as fast as the guest reads them:
 * the receiver never overruns (but in loopback), and when the FIFO holds less
 * than its trigger level no more are coming, which is the character timeout.
 * As in QEMU's machine the interrupt is not gated by OUT2: there are guests
 * that know no better.
 */

#include "uart.h"

enum {
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
	SCR = 7,
	REGISTERS = 8,
};

enum {
	IER_ERBFI = 1 << 0, /* received data */
	IER_ETBEI = 1 << 1, /* transmitter holding register empty */
	IER_ELSI = 1 << 2,  /* line status */
	IER_EDSSI = 1 << 3, /* modem status */
	IER_BITS = 0xf,

	IIR_NONE = 1,
	IIR_MODEM = 0,
	IIR_THRE = 2,
	IIR_DATA = 4,
	IIR_LINE = 6,
	IIR_TIMEOUT = 0xc,
	IIR_FIFOS = 0xc0,

	FCR_ENABLE = 1 << 0,
	FCR_CLEAR_RX = 1 << 1,
	FCR_CLEAR_TX = 1 << 2,
	FCR_KEPT = 0xc9, /* enable, DMA mode, trigger */

	LCR_DLAB = 1 << 7,

	MCR_DTR = 1 << 0,
	MCR_RTS = 1 << 1,
	MCR_OUT1 = 1 << 2,
	MCR_OUT2 = 1 << 3,
	MCR_LOOP = 1 << 4,
	MCR_BITS = 0x1f,

	LSR_DR = 1 << 0,
	LSR_OE = 1 << 1,
	LSR_THRE = 1 << 5,
	LSR_TEMT = 1 << 6,

	MSR_DCTS = 1 << 0,
	MSR_DDSR = 1 << 1,
	MSR_TERI = 1 << 2,
	MSR_DDCD = 1 << 3,
	MSR_CTS = 1 << 4,
	MSR_DSR = 1 << 5,
	MSR_RI = 1 << 6,
	MSR_DCD = 1 << 7,
};

static const uint8_t trigger_levels[] = {1, 4, 8, 14};

static bool fifo_push(struct uart_fifo *fifo, uint8_t byte, unsigned size)
{
	if (fifo->count >= size)
		return false;
	fifo->byte[(fifo->first + fifo->count) % UART_FIFO_SIZE] = byte;
	fifo->count++;
	return true;
}

static void fifo_drop(struct uart_fifo *fifo, unsigned count)
{
	fifo->first = (uint8_t)((fifo->first + count) % UART_FIFO_SIZE);
	fifo->count = (uint8_t)(fifo->count - count);
}

static bool has_fifos(const struct uart *uart)
{
	return (uart->fcr & FCR_ENABLE) != 0;
}

static bool is_loop(const struct uart *uart)
{
	return (uart->mcr & MCR_LOOP) != 0;
}

/* What interrupts, the most important first: the low bits of IIR. */
static uint8_t interrupt(const struct uart *uart)
{
	if ((uart->ier & IER_ELSI) != 0 && uart->lsr != 0)
		return IIR_LINE;
	if ((uart->ier & IER_ERBFI) != 0 && uart->rx.count > 0) {
		bool enough = !has_fifos(uart) || uart->rx.count >= trigger_levels[uart->fcr >> 6];

		return enough ? IIR_DATA : IIR_TIMEOUT;
	}
	if ((uart->ier & IER_ETBEI) != 0 && uart->thre)
		return IIR_THRE;
	if ((uart->ier & IER_EDSSI) != 0 && uart->msr != 0)
		return IIR_MODEM;
	return IIR_NONE;
}

static void update(struct uart *uart)
{
	irq_set(uart->irq, interrupt(uart) != IIR_NONE);
}

/* Receive what the wire has and the guest is ready for. */
static void receive(struct uart *uart)
{
	bool wanted = (uart->mcr & MCR_RTS) != 0 || (uart->ier & IER_ERBFI) != 0;
	unsigned size = has_fifos(uart) && wanted ? UART_FIFO_SIZE : 1;
	uint8_t bytes[UART_FIFO_SIZE];

	if (is_loop(uart) || uart->rx.count >= size || uart->wire.read == NULL)
		return;

	size_t room = size - uart->rx.count;
	size_t count = uart->wire.read(uart->wire.opaque, bytes, room);

	for (size_t i = 0; i < count && i < room; i++)
		fifo_push(&uart->rx, bytes[i], size);
}

/* Transmit what the wire takes. */
static void transmit(struct uart *uart)
{
	struct uart_fifo *tx = &uart->tx;

	while (tx->count > 0) {
		size_t ahead = (size_t)UART_FIFO_SIZE - tx->first;
		size_t count = tx->count < ahead ? tx->count : ahead;
		size_t taken = count;

		if (uart->wire.write != NULL)
			taken = uart->wire.write(uart->wire.opaque, &tx->byte[tx->first], count);
		if (taken == 0 || taken > count)
			return;
		fifo_drop(tx, (unsigned)taken);
		if (tx->count == 0)
			uart->thre = true;
	}
}

void uart_poll(struct uart *uart)
{
	transmit(uart);
	receive(uart);
	update(uart);
}

static void write_thr(struct uart *uart, uint8_t byte)
{
	/* The interrupt is taken back first, so that each has its edge. */
	uart->thre = false;
	update(uart);
	if (is_loop(uart)) {
		if (!fifo_push(&uart->rx, byte, has_fifos(uart) ? UART_FIFO_SIZE : 1))
			uart->lsr |= LSR_OE;
		uart->thre = true;
	} else {
		/* A guest that does not look at THRE overwrites. */
		fifo_push(&uart->tx, byte, UART_FIFO_SIZE);
		transmit(uart);
	}
}

static uint8_t read_rbr(struct uart *uart)
{
	uint8_t byte = 0;

	receive(uart);
	if (uart->rx.count > 0) {
		byte = uart->rx.byte[uart->rx.first];
		fifo_drop(&uart->rx, 1);
	}
	if (uart->rx.count == 0) {
		/* The edge before the next ones. */
		update(uart);
		receive(uart);
	}
	return byte;
}

static void write_ier(struct uart *uart, uint8_t value)
{
	uint8_t on = value & (uint8_t)~uart->ier;

	uart->ier = value & IER_BITS;
	if ((on & IER_ETBEI) != 0 && uart->tx.count == 0)
		uart->thre = true;
	receive(uart);
}

static uint8_t read_iir(struct uart *uart)
{
	uint8_t iir = interrupt(uart);

	if (iir == IIR_THRE)
		uart->thre = false;
	return has_fifos(uart) ? iir | IIR_FIFOS : iir;
}

/*
 * The chip clears both FIFOs when they are switched on or off. Here what was
 * received is kept: the wire would have it still, if it were not for us.
 */
static void write_fcr(struct uart *uart, uint8_t value)
{
	bool switched = ((value ^ uart->fcr) & FCR_ENABLE) != 0;

	if ((value & FCR_ENABLE) == 0)
		value = 0;
	uart->fcr = value & FCR_KEPT;
	if ((value & FCR_CLEAR_RX) != 0)
		fifo_drop(&uart->rx, uart->rx.count);
	if ((value & FCR_CLEAR_TX) != 0 || switched) {
		uart->thre |= uart->tx.count > 0;
		fifo_drop(&uart->tx, uart->tx.count);
	}
}

static uint8_t read_lsr(struct uart *uart)
{
	uint8_t lsr = uart->lsr;

	receive(uart);
	uart->lsr = 0;
	if (uart->rx.count > 0)
		lsr |= LSR_DR;
	if (uart->tx.count == 0)
		lsr |= LSR_THRE | LSR_TEMT;
	return lsr;
}

/* The inputs: somebody is there; in loopback, the outputs. */
static uint8_t modem_lines(const struct uart *uart)
{
	uint8_t mcr = uart->mcr;

	if (!is_loop(uart))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (uint8_t)((mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) |
			 (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void write_mcr(struct uart *uart, uint8_t value)
{
	uint8_t before = modem_lines(uart);

	uart->mcr = value & MCR_BITS;

	uint8_t after = modem_lines(uart);
	uint8_t changed = before ^ after;

	/* The ring indicator's delta is set by its trailing edge only. */
	changed &= (uint8_t) ~(after & MSR_RI);
	uart->msr |= changed >> 4;
	receive(uart);
}

static uint8_t read_msr(struct uart *uart)
{
	uint8_t msr = uart->msr | modem_lines(uart);

	uart->msr = 0;
	return msr;
}

static uint8_t register_read(struct uart *uart, uint64_t reg)
{
	bool dlab = (uart->lcr & LCR_DLAB) != 0;

	switch (reg) {
	case RBR:
		return dlab ? uart->dll : read_rbr(uart);
	case IER:
		return dlab ? uart->dlm : uart->ier;
	case IIR:
		return read_iir(uart);
	case LCR:
		return uart->lcr;
	case MCR:
		return uart->mcr;
	case LSR:
		return read_lsr(uart);
	case MSR:
		return read_msr(uart);
	default:
		return uart->scr;
	}
}

static void register_write(struct uart *uart, uint64_t reg, uint8_t value)
{
	bool dlab = (uart->lcr & LCR_DLAB) != 0;

	switch (reg) {
	case THR:
		if (dlab)
			uart->dll = value;
		else
			write_thr(uart, value);
		break;
	case IER:
		if (dlab)
			uart->dlm = value;
		else
			write_ier(uart, value);
		break;
	case FCR:
		write_fcr(uart, value);
		break;
	case LCR:
		uart->lcr = value;
		break;
	case MCR:
		write_mcr(uart, value);
		break;
	case SCR:
		uart->scr = value;
		break;
	default:
		break; /* LSR, MSR: for the factory's tests */
	}
}

static uint64_t uart_read(void *device, uint64_t offset, unsigned bytes)
{
	struct uart *uart = device;
	uint8_t value = register_read(uart, offset);

	(void)bytes;
	update(uart);
	return value;
}

static void uart_write(void *device, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct uart *uart = device;

	(void)bytes;
	register_write(uart, offset, (uint8_t)value);
	update(uart);
}

void uart_init(struct uart *uart, struct irq_line *irq, const struct uart_wire *wire)
{
	*uart = (struct uart){.irq = irq, .wire = *wire};
	uart_reset(uart);
}

void uart_reset(struct uart *uart)
{
	*uart = (struct uart){
		.wire = uart->wire, .irq = uart->irq, .dll = 1, /* 115200 */
	};
	update(uart);
}

enum bus_status uart_attach(struct uart *uart, struct bus *ports, uint16_t base, const char *name)
{
	return bus_add(ports, &(struct bus_region){
				      .base = base,
				      .size = REGISTERS,
				      .read = uart_read,
				      .write = uart_write,
				      .device = uart,
				      .name = name,
				      .widths = BUS_BYTE,
			      });
}
