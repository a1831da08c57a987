/*
 * Words that every file of the kernel needs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <abi/call.h>

/* A keyword only in later compilers. */
#define static_assert _Static_assert

#define PAGE_BITS 12
#define PAGE_SIZE 4096ul
#define PAGE_MASK (PAGE_SIZE - 1)

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

#define aligned_to(n) __attribute__((aligned(n)))
