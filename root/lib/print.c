/*
 * Formatted text. One directive is taken apart into a struct spec, converted
 * into digits or a string, and written with its padding.
 */
#include <lib/print.h>

#include <stdbool.h>
#include <stdint.h>

#include <lib/string.h>

struct out {
	char *to;
	size_t size;   /* of the buffer */
	size_t length; /* of the whole text so far */
};

struct spec {
	bool left, zero, plus, space, alternate;
	int width;
	int precision; /* negative: none given */
	int length;    /* bytes of the integer */
};

enum { DIGITS = 24 }; /* of 64 bits in octal, with room */

static void put(struct out *o, char c)
{
	if (o->length + 1 < o->size)
		o->to[o->length] = c;
	o->length++;
}

static void put_many(struct out *o, char c, int n)
{
	for (; n > 0; n--)
		put(o, c);
}

static void put_padded(struct out *o, const struct spec *s, const char *text, int n)
{
	if (!s->left)
		put_many(o, ' ', s->width - n);
	for (int i = 0; i < n; i++)
		put(o, text[i]);
	if (s->left)
		put_many(o, ' ', s->width - n);
}

static void put_string(struct out *o, const struct spec *s, const char *text)
{
	size_t limit = s->precision < 0 ? INT32_MAX : (size_t)s->precision;

	if (!text)
		text = "(null)";
	put_padded(o, s, text, (int)strnlen(text, limit));
}

/* prefix: the sign, or what says the base. */
static void put_number(struct out *o, const struct spec *s, const char *prefix, uint64_t value,
		       unsigned base, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	int prefix_length = (int)strlen(prefix), n = 0, zeros;
	char text[DIGITS];

	for (; value; value /= base)
		text[n++] = digits[value % base];
	zeros = (s->precision < 0 ? 1 : s->precision) - n;
	if (s->precision < 0 && s->zero && !s->left && s->width - n - prefix_length > zeros)
		zeros = s->width - n - prefix_length;
	zeros = zeros < 0 ? 0 : zeros;
	if (!s->left)
		put_many(o, ' ', s->width - n - zeros - prefix_length);
	while (*prefix)
		put(o, *prefix++);
	put_many(o, '0', zeros);
	for (int i = n; i > 0; i--)
		put(o, text[i - 1]);
	if (s->left)
		put_many(o, ' ', s->width - n - zeros - prefix_length);
}

static void put_signed(struct out *o, const struct spec *s, int64_t value)
{
	const char *sign = s->plus ? "+" : s->space ? " " : "";

	if (value < 0)
		put_number(o, s, "-", -(uint64_t)value, 10, false);
	else
		put_number(o, s, sign, (uint64_t)value, 10, false);
}

static const char *take_flags(const char *f, struct spec *s)
{
	for (;; f++) {
		switch (*f) {
		case '-':
			s->left = true;
			break;
		case '0':
			s->zero = true;
			break;
		case '+':
			s->plus = true;
			break;
		case ' ':
			s->space = true;
			break;
		case '#':
			s->alternate = true;
			break;
		default:
			return f;
		}
	}
}

static const char *take_number(const char *f, int *value, va_list *list)
{
	if (*f == '*') {
		*value = va_arg(*list, int);
		return f + 1;
	}
	for (*value = 0; *f >= '0' && *f <= '9'; f++)
		*value = *value < 100000 ? *value * 10 + *f - '0' : *value;
	return f;
}

static const char *take_length(const char *f, struct spec *s)
{
	s->length = sizeof(int);
	if (*f == 'h')
		s->length = f[1] == 'h' ? sizeof(char) : sizeof(short);
	else if (*f && strchr("lzjt", *f))
		s->length = sizeof(long);
	while (*f && strchr("hlzjt", *f))
		f++;
	return f;
}

static uint64_t take_unsigned(const struct spec *s, va_list *list)
{
	if (s->length == sizeof(long))
		return va_arg(*list, unsigned long);
	return va_arg(*list, unsigned) & (~0u >> (32 - 8 * s->length));
}

static int64_t take_signed(const struct spec *s, va_list *list)
{
	int value;

	if (s->length == sizeof(long))
		return va_arg(*list, long);
	value = va_arg(*list, int);
	return s->length == 1 ? (int8_t)value : s->length == 2 ? (int16_t)value : value;
}

static void put_unsigned(struct out *o, const struct spec *s, char conversion, va_list *list)
{
	unsigned base = conversion == 'u' ? 10 : conversion == 'o' ? 8 : 16;
	uint64_t value = take_unsigned(s, list);
	const char *prefix = "";

	if (s->alternate && value && base != 10)
		prefix = base == 8 ? "0" : conversion == 'X' ? "0X" : "0x";
	put_number(o, s, prefix, value, base, conversion == 'X');
}

/* f is behind the '%'; returns what is behind the directive. */
static const char *directive(struct out *o, const char *f, va_list *list)
{
	struct spec s = {.precision = -1};
	char c;

	f = take_flags(f, &s);
	f = take_number(f, &s.width, list);
	if (s.width < 0) {
		s.left = true;
		s.width = -s.width;
	}
	if (*f == '.')
		f = take_number(f + 1, &s.precision, list);
	f = take_length(f, &s);
	switch (*f) {
	case 'd':
	case 'i':
		put_signed(o, &s, take_signed(&s, list));
		break;
	case 'u':
	case 'x':
	case 'X':
	case 'o':
		put_unsigned(o, &s, *f, list);
		break;
	case 'p':
		put_number(o, &s, "0x", (uintptr_t)va_arg(*list, void *), 16, false);
		break;
	case 'c':
		c = (char)va_arg(*list, int);
		put_padded(o, &s, &c, 1);
		break;
	case 's':
		put_string(o, &s, va_arg(*list, const char *));
		break;
	case '%':
		put(o, '%');
		break;
	default:
		put(o, '?');
		return *f ? f + 1 : f;
	}
	return f + 1;
}

int vsnprintf(char *restrict to, size_t size, const char *restrict format, va_list list)
{
	struct out o = {to, size, 0};
	va_list copy;

	va_copy(copy, list);
	while (*format)
		if (*format == '%')
			format = directive(&o, format + 1, &copy);
		else
			put(&o, *format++);
	va_end(copy);
	if (size)
		to[o.length < size ? o.length : size - 1] = 0;
	return (int)o.length;
}

int snprintf(char *restrict to, size_t size, const char *restrict format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(to, size, format, list);
	va_end(list);
	return n;
}
