/*
 * From the boot loader to C: what a Multiboot loader looks for, 64-bit mode,
 * page tables to begin with, a stack, GS base; then cpu_main(cpu, info, magic).
 * Every CPU comes this way, at its first start and after sleep.
 *
 * The loader enters in 32-bit protected mode without paging, with the magic
 * number in EAX and the address of its information in EBX.
 */

#include "entry.h"

#define KERNEL_BASE	0xffffffff80000000	/* hypervisor.ld */
#define CR0_PROTECTED	0x11		/* ET PE; caches on */
#define CR0_BOOT	0x80010033	/* PG WP NE ET MP PE */
#define CR4_PAE		(1 << 5)
#define EFER		0xc0000080
#define EFER_BOOT	0x900		/* NXE LME */
#define GS_BASE		0xc0000101
#define LONG_MODE_NX	(1 << 29 | 1 << 20)	/* CPUID 0x80000001, EDX */
#define CODE_64		8		/* selectors in boot_gdt */
#define DATA		16
#define CODE_32		24
#define TABLE		3		/* present, writable */
#define LARGE		0x83		/* present, writable, 2 MiB or 1 GiB */
#define COM1		0x3f8

/* Multiboot 1 (specification 0.6.96, 3.1): loaded as described, not as ELF. */
#define MB1_MAGIC	0x1badb002
#define MB1_FLAGS	(1 << 16 | 1 << 1 | 1 << 0)	/* a.out, map, pages */

	.section .multiboot, "a"
	.balign 8
mb1_header:
	.long	MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)
	.long	mb1_header, LOAD_ADDRESS, image_load_end_phys, image_end_phys, _start

/* Multiboot 2 (specification 2.0, 3.1): ELF, modules on page boundaries. */
#define MB2_MAGIC	0xe85250d6
#define MB2_ALIGN	6

	.balign 8
mb2_header:
	.long	MB2_MAGIC, 0, mb2_end - mb2_header, -(MB2_MAGIC + (mb2_end - mb2_header))
	.long	MB2_ALIGN, 8, 0, 8	/* tags: type, size; the end */
mb2_end:

	.section .boot, "ax"
	.code32
	.globl	_start
_start:
	cli
	mov	%eax, %ebp
	mov	%ebx, %esi

	/* 64-bit mode and NX are what the kernel cannot do without. */
	mov	$0x80000000, %eax
	cpuid
	cmp	$0x80000001, %eax
	jb	unfit
	mov	$0x80000001, %eax
	cpuid
	not	%edx
	test	$LONG_MODE_NX, %edx
	jnz	unfit
	lgdt	boot_gdt_pointer

long_mode:
	mov	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$boot_pml4 - KERNEL_BASE, %eax
	mov	%eax, %cr3
	mov	$EFER, %ecx
	mov	$EFER_BOOT, %eax
	xor	%edx, %edx
	wrmsr
	mov	$CR0_BOOT, %eax
	mov	%eax, %cr0
	ljmp	$CODE_64, $1f
	.code64
1:	mov	$high, %rax
	jmp	*%rax

	.code32
unfit:
	cld
	mov	$unfit_message, %esi
1:	mov	$COM1 + 5, %dx
	in	%dx, %al
	test	$0x20, %al
	jz	1b
	mov	$COM1, %dx
	outsb
	cmpb	$0, (%esi)
	jne	1b
2:	hlt
	jmp	2b

unfit_message:
	.asciz	"panic: this CPU has no 64-bit mode with NX\r\npanic: end\r\n"

	.balign	8
boot_gdt:
	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
	.macro	gdt_pointer
	.short	boot_gdt_pointer - boot_gdt - 1
	.long	boot_gdt
	.endm
boot_gdt_pointer:
	gdt_pointer

/*
 * Where another CPU starts, or the machine wakes up: smp.c copies this to a page
 * below 1 MiB, and the CPU begins at its first byte in real mode, CS = page << 8.
 */
	.section .rodata.trampoline, "a"
	.code16
	.globl	trampoline_start, trampoline_end
trampoline_start:
	cli
	lgdtl	%cs:(1f - trampoline_start)
	mov	$CR0_PROTECTED, %eax
	mov	%eax, %cr0
	ljmpl	$CODE_32, $long_mode
1:	gdt_pointer
trampoline_end:

/*
 * cpu_sleep(cpu) calls sleep_here(cpu), and returns from it, or after a reset of
 * this CPU from cpu_main(), with the registers it was called with.
 */
	.text
	.code64
	.globl	cpu_sleep
cpu_sleep:
	push_gprs
	mov	%rsp, CPU_START_SP(%rdi)
	call	sleep_here
1:	pop_gprs
	ret

/* All as the kernel has it: segments null, but the stack's; GS base, stack. */
high:
	cld
	mov	$DATA, %ecx
	mov	%ecx, %ss
	xor	%ecx, %ecx
	mov	%ecx, %ds
	mov	%ecx, %es
	mov	%ecx, %fs
	mov	%ecx, %gs
	mov	starting_cpu, %rdi
	mov	%edi, %eax
	mov	%rdi, %rdx
	shr	$32, %rdx
	mov	$GS_BASE, %ecx
	wrmsr
	mov	CPU_START_SP(%rdi), %rsp
	mov	%ebp, %edx
	xor	%ebp, %ebp
	call	cpu_main
	jmp	1b

/*
 * To begin with: 512 GiB mapped to themselves, as far as the processor has 1 GiB
 * pages, and the first of them again at KERNEL_BASE.
 */
	.macro	entries count, step, first
	.set	offset, 0
	.rept	\count
	.quad	\first + offset
	.set	offset, offset + \step
	.endr
	.endm

	.data
	.balign	4096
	.globl	boot_pml4
boot_pml4:
	.quad	boot_pdpt - KERNEL_BASE + TABLE
	.fill	510, 8, 0
	.quad	boot_pdpt_high - KERNEL_BASE + TABLE
boot_pdpt:
	entries	4, 4096, (boot_pd - KERNEL_BASE + TABLE)
	entries	508, 1 << 30, (4 << 30 | LARGE)
boot_pdpt_high:
	.fill	510, 8, 0
	.quad	boot_pd - KERNEL_BASE + TABLE, 0
boot_pd:
	entries	2048, 1 << 21, LARGE

	.bss
	.balign	4096
	.globl	boot_stack_end
	.skip	8192
boot_stack_end:

	.section .note.GNU-stack, "", @progbits
