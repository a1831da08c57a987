/*
 * Lines and messages: no state but a line's level.
 */

#include "irq.h"

#include <stddef.h>

/* SDM 3A 11.11.1: a message address is 0xfee in bits 31..20. */
enum {
	MSI_ADDRESS = 0xfee,
	MSI_ADDRESS_LOGICAL = 1 << 2,
	MSI_DATA_LEVEL = 1 << 15,
	MSI_DATA_ASSERT = 1 << 14,
};

void irq_set(struct irq_line *line, bool level)
{
	if (line == NULL || line->level == level)
		return;
	line->level = level;
	for (unsigned i = 0; i < IRQ_LINE_INPUTS; i++) {
		const struct irq_input *to = &line->to[i];

		if (to->set != NULL)
			to->set(to->chip, to->pin, level);
	}
}

void irq_raise(struct irq_line *line)
{
	irq_set(line, true);
}

void irq_lower(struct irq_line *line)
{
	irq_set(line, false);
}

void irq_edge(struct irq_line *line)
{
	irq_set(line, false);
	irq_set(line, true);
}

bool apic_send(const struct apic_fabric *fabric, const struct apic_message *message)
{
	return fabric != NULL && fabric->deliver != NULL &&
	       fabric->deliver(fabric->opaque, message);
}

bool msi_send(const struct apic_fabric *fabric, uint64_t address, uint32_t data)
{
	if (address >> 20 != MSI_ADDRESS)
		return false;
	/* A level message that says "deassert" is none. */
	if ((data & MSI_DATA_LEVEL) != 0 && (data & MSI_DATA_ASSERT) == 0)
		return true;

	struct apic_message message = {
		.destination = (uint32_t)(address >> 12) & 0xff,
		.vector = (uint8_t)data,
		.mode = data >> 8 & 7,
		.logical = (address & MSI_ADDRESS_LOGICAL) != 0,
		.level = (data & MSI_DATA_LEVEL) != 0,
	};

	return apic_send(fabric, &message);
}
