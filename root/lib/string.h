/*
 * Strings and memory, as in ISO C (and libfdt's needs).
 */
#pragma once

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *what);
unsigned long strtoul(const char *restrict s, char **restrict end, int base);

/*
 * Copy what fits with its 0 (size > 0); returns strlen(from), so that it did
 * not fit if that is >= size.
 */
size_t string_copy(char *to, const char *from, size_t size);
