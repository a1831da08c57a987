/*
 * Model-specific registers for who has the authority: ec_ctrl's last operation.
 * All registers can be read that there are; written those that set speed, power
 * and temperature, since with others a program could take the kernel over.
 */
#include "syscall.h"
#include "x86/insn.h"

struct sm *msr_authority;

enum {
	WRITE = 1 << 29, /* in the number: the value follows */
	OPERATIONS = 64, /* bits of the answer */
};

/* SDM 4 2.1 and 2.17; PPR of families 17h and 19h. */
static const struct {
	uint32_t first, last;
} writable[] = {
	{0x198, 0x19c},		  /* PERF_STATUS to THERM_STATUS */
	{0x1a2, 0x1a2},		  /* TEMPERATURE_TARGET */
	{0x1ad, 0x1ad},		  /* TURBO_RATIO_LIMIT */
	{0x1b0, 0x1b2},		  /* ENERGY_PERF_BIAS, PACKAGE_THERM */
	{0x601, 0x64f},		  /* power, RAPL, C-states */
	{0x770, 0x777},		  /* HWP */
	{0xc0010061, 0xc001006b}, /* P-states */
	{0xc0010290, 0xc0010293}, /* power */
	{0xc00102b0, 0xc00102b4}, /* CPPC */
};

static bool write(uint32_t msr, uint64_t value)
{
	for (unsigned i = 0; i < ARRAY_SIZE(writable); i++)
		if (msr >= writable[i].first && msr <= writable[i].last)
			return wrmsr_safe(msr, value);
	return false;
}

enum status msr_access(struct ec *self, void *authority)
{
	struct utcb *u = self->utcb;
	uint64_t words = u->items & 0xffff, done = 0, value;

	if (authority != msr_authority)
		return BAD_CAPABILITY;
	if (words > UTCB_WORDS)
		words = UTCB_WORDS;
	for (uint64_t i = 0, n = 0; i < words && n < OPERATIONS; i++, n++) {
		uint64_t msr = __atomic_load_n(&u->word[i], __ATOMIC_RELAXED);
		bool ok;

		if (msr & WRITE) {
			ok = ++i < words && write((uint32_t)msr & ~(uint32_t)WRITE, u->word[i]);
		} else {
			ok = rdmsr_safe((uint32_t)msr, &value);
			if (ok)
				u->word[i] = value;
		}
		done |= (uint64_t)ok << n;
	}
	u->items = done;
	return SUCCESS;
}
