/*
 * vsnprintf of root/lib against the C library's, over a table of directives
 * and values, and at every size of the buffer.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The Makefile renames ours to root_snprintf and root_vsnprintf. */
#include <lib/print.h>

#define CHECK(...)                                                     \
	do {                                                           \
		char want[256], have[256];                             \
		int n = sprintf(want, __VA_ARGS__);                    \
		assert_int_equal(snprintf(have, 256, __VA_ARGS__), n); \
		assert_string_equal(have, want);                       \
	} while (0)

static void integers(void **state)
{
	static const int values[] = {0, 1, -1, 9, 10, -12345, INT_MAX, INT_MIN};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		int v = values[i];

		CHECK("%d|%5d|%-5d|%05d|%+d|% d", v, v, v, v, v, v);
		CHECK("%.3d|%8.3d|%-8.3d|%08d", v, v, v, v);
		CHECK("%u|%x|%X|%o|%#x|%#o", (unsigned)v, (unsigned)v, (unsigned)v, (unsigned)v,
		      (unsigned)v, (unsigned)v);
		CHECK("%#010x|%-#10x|%10x", (unsigned)v, (unsigned)v, (unsigned)v);
		CHECK("%*d|%-*d|%.*d", 7, v, 7, v, 4, v);
		CHECK("%*d", -7, v);
	}
}

static void lengths(void **state)
{
	(void)state;
	CHECK("%ld %lu %lx", LONG_MIN, ULONG_MAX, 0x123456789abcdefl);
	CHECK("%lld %llu %zu %zx", LLONG_MIN, ULLONG_MAX, SIZE_MAX, (size_t)7);
	CHECK("%hhd %hhu %hd %hu", (signed char)-1, (unsigned char)255, (short)-2,
	      (unsigned short)65535);
	CHECK("%jd %td", (intmax_t)-3, (ptrdiff_t)-4);
}

static void text(void **state)
{
	(void)state;
	CHECK("%s|%10s|%-10s|%.2s|%10.2s", "abc", "abc", "abc", "abc", "abc");
	CHECK("%c%c%%%5c|%-5c|", 'a', 'b', 'c', 'd');
	CHECK("%p", (void *)0x1234);
	CHECK("no directive");
}

static void null_string(void **state)
{
	const char *volatile nothing = NULL;
	char have[16];

	(void)state;
	snprintf(have, sizeof(have), "%s", nothing);
	assert_string_equal(have, "(null)");
}

static void cut(void **state)
{
	(void)state;
	for (size_t size = 0; size < 12; size++) {
		char have[16];

		memset(have, 'x', sizeof(have));
		assert_int_equal(snprintf(have, size, "%s-%d", "abc", 12345), 9);
		if (size) {
			char want[16];

			sprintf(want, "%.*s", (int)(size - 1), "abc-12345");
			assert_string_equal(have, want);
		}
		assert_int_equal(have[size], 'x');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers),    cmocka_unit_test(lengths), cmocka_unit_test(text),
		cmocka_unit_test(null_string), cmocka_unit_test(cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
