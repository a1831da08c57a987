/*
 * A thread's state from and to a UTCB that holds anything: only what the MTD
 * names moves, and the thread stays one in user mode.
 */
#include "hv_fixture.h"

#include "state.h"

enum { STEPS = 20000 };

/* SDM 1 3.4.3 */
enum {
	RFLAGS_1 = 1 << 1,
	RFLAGS_IF = 1 << 9,
	RFLAGS_NT = 1 << 14,
	RFLAGS_AC = 1 << 18,
	RFLAGS_ID = 1 << 21,

	/* CF PF AF ZF SF TF DF OF NT AC ID */
	RFLAGS_USERS = 0xdd5 | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID,
};

#define AT(field, mtd)                                                          \
	{                                                                       \
		offsetof(struct regs, field), offsetof(struct utcb, field), mtd \
	}

/* Registers that are just copied. */
static const struct {
	size_t reg, utcb;
	uint64_t mtd;
} fields[] = {
	AT(rax, MTD_GPR_ACDB),	 AT(rcx, MTD_GPR_ACDB),	  AT(rdx, MTD_GPR_ACDB),
	AT(rbx, MTD_GPR_ACDB),	 AT(rbp, MTD_GPR_BSD),	  AT(rsi, MTD_GPR_BSD),
	AT(rdi, MTD_GPR_BSD),	 AT(rsp, MTD_RSP),	  AT(r8, MTD_GPR_R8_R15),
	AT(r9, MTD_GPR_R8_R15),	 AT(r10, MTD_GPR_R8_R15), AT(r11, MTD_GPR_R8_R15),
	AT(r12, MTD_GPR_R8_R15), AT(r13, MTD_GPR_R8_R15), AT(r14, MTD_GPR_R8_R15),
	AT(r15, MTD_GPR_R8_R15),
};

static uint64_t any(void)
{
	return rnd(1ul << 32) << 32 | rnd(1ul << 32);
}

static void fill(void *p, size_t size)
{
	uint64_t *w = p;

	for (size_t i = 0; i < size / 8; i++)
		w[i] = any();
}

static uint64_t at(const void *p, size_t offset)
{
	return *(const uint64_t *)((const char *)p + offset);
}

static void test_load(void **state)
{
	struct ec ec = {0};
	struct utcb u;

	(void)state;
	for (unsigned n = 0; n < STEPS; n++) {
		uint64_t mtd = any();
		struct regs before;

		fill(&u, sizeof(u));
		fill(&ec.regs, sizeof(ec.regs));
		before = ec.regs;
		state_load(&ec, &u, mtd);
		for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
			assert_int_equal(at(&ec.regs, fields[i].reg),
					 mtd & fields[i].mtd ? at(&u, fields[i].utcb)
							     : at(&before, fields[i].reg));
		}
		assert_int_equal(ec.regs.cs, before.cs);
		assert_int_equal(ec.regs.ss, before.ss);
		assert_int_equal(ec.regs.error, before.error);
		assert_int_equal(ec.regs.vector, before.vector);
		assert_int_equal(ec.regs.rflags,
				 mtd & MTD_RFLAGS ? (u.rflags & RFLAGS_USERS) | RFLAGS_1 | RFLAGS_IF
						  : before.rflags);
		if (!(mtd & MTD_RIP_LEN)) {
			assert_int_equal(ec.regs.rip, before.rip);
		} else {
			/* Bits 63..47 are the same; 46..0 as asked for. */
			assert_true(ec.regs.rip >> 47 == 0 || ec.regs.rip >> 47 == 0x1ffff);
			assert_int_equal(ec.regs.rip << 16, u.rip << 16);
		}
	}
}

static void test_save(void **state)
{
	struct ec ec = {0};
	struct utcb u, before;

	(void)state;
	for (unsigned n = 0; n < STEPS; n++) {
		uint64_t mtd = any();

		fill(&ec.regs, sizeof(ec.regs));
		ec.fault_address = any();
		fill(&u, sizeof(u));
		before = u;
		state_save(&ec, &u, mtd);
		assert_int_equal(u.mtd, mtd & MTD_THREAD);
		for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
			assert_int_equal(at(&u, fields[i].utcb),
					 mtd & fields[i].mtd ? at(&ec.regs, fields[i].reg)
							     : at(&before, fields[i].utcb));
		}
		assert_int_equal(u.rip, mtd & MTD_RIP_LEN ? ec.regs.rip : before.rip);
		assert_int_equal(u.rflags, mtd & MTD_RFLAGS ? ec.regs.rflags : before.rflags);
		assert_int_equal(u.qual[0], mtd & MTD_QUAL ? ec.regs.error : before.qual[0]);
		assert_int_equal(u.qual[1], mtd & MTD_QUAL ? ec.fault_address : before.qual[1]);
		assert_memory_equal(&u.ctrl, &before.ctrl,
				    offsetof(struct utcb, fpu) - offsetof(struct utcb, ctrl));
		assert_int_equal(u.items, before.items);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_save),
	};

	fixture_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
