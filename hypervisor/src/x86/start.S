/*
 * From the boot loader to C: what a Multiboot loader looks for, 64-bit mode,
 * page tables to begin with, a stack, GS base; then boot_main(magic, info).
 *
 * The loader enters in 32-bit protected mode without paging, with the magic
 * number in EAX and the address of its information in EBX.
 */

#include "offsets.h"

#define KERNEL_BASE	0xffffffff80000000	/* hypervisor.ld */
#define CR0_BOOT	0x80010033	/* PG WP NE ET MP PE */
#define CR4_PAE		(1 << 5)
#define EFER		0xc0000080
#define EFER_BOOT	0x900		/* NXE LME */
#define GS_BASE		0xc0000101
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
	.long	mb1_header, LOAD_ADDRESS, image_load_end_phys, image_end_phys
	.long	_start

/* Multiboot 2 (specification 2.0, 3.1): ELF, modules on page boundaries. */
#define MB2_MAGIC	0xe85250d6
#define MB2_ALIGN	6

	.balign 8
mb2_header:
	.long	MB2_MAGIC, 0, mb2_end - mb2_header
	.long	-(MB2_MAGIC + (mb2_end - mb2_header))
	.short	MB2_ALIGN, 0
	.long	8
	.short	0, 0
	.long	8
mb2_end:

	.section .boot, "ax"
	.code32
	.globl	_start
_start:
	cli
	cld
	mov	%eax, %ebp
	mov	%ebx, %esi

	/* 64-bit mode and NX are what the kernel cannot do without. */
	mov	$0x80000000, %eax
	cpuid
	cmp	$0x80000001, %eax
	jb	unfit
	mov	$0x80000001, %eax
	cpuid
	and	$(1 << 29 | 1 << 20), %edx
	cmp	$(1 << 29 | 1 << 20), %edx
	jne	unfit

	mov	%cr4, %eax
	or	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$boot_pml4 - KERNEL_BASE, %eax
	mov	%eax, %cr3
	mov	$EFER, %ecx
	mov	$EFER_BOOT, %eax
	xor	%edx, %edx
	wrmsr
	mov	$CR0_BOOT, %eax
	mov	%eax, %cr0
	lgdt	boot_gdt_pointer
	ljmp	$8, $1f

	.code64
1:	movabs	$boot_high, %rax
	jmp	*%rax

	.code32
unfit:
	mov	$unfit_message, %esi
1:	lodsb
	test	%al, %al
	jz	3f
	mov	%al, %bl
	mov	$COM1 + 5, %dx
2:	in	%dx, %al
	test	$0x20, %al
	jz	2b
	mov	%bl, %al
	mov	$COM1, %dx
	out	%al, %dx
	jmp	1b
3:	hlt
	jmp	3b

unfit_message:
	.asciz	"panic: this CPU has no 64-bit mode with NX\r\npanic: end\r\n"

	.balign	8
boot_gdt:
	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
	.short	boot_gdt_pointer - boot_gdt - 1
	.long	boot_gdt

	.text
	.code64
boot_high:
	mov	$boot_stack_end, %rsp
	mov	$boot_cpu, %rax
	call	set_segments
	mov	%ebp, %edi
	xor	%ebp, %ebp
	call	boot_main
	ud2

/*
 * cpu_sleep(cpu) calls sleep_here(cpu), and returns from it, or after a reset of
 * this CPU: trampoline.S comes here with paging on, at its first start and then.
 */
	.globl	cpu_sleep, ap_entry
cpu_sleep:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	sub	$8, %rsp
	mov	%rsp, CPU_START_SP(%rdi)
	call	sleep_here
1:	add	$8, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

ap_entry:
	mov	ap_cpu, %rax
	mov	CPU_START_SP(%rax), %rsp
	call	set_segments
	mov	ap_cpu, %rdi
	xor	%ebp, %ebp
	call	ap_main
	jmp	1b

/* Data segments null, the kernel's stack segment, GS base from RAX. */
set_segments:
	mov	$0x10, %ecx
	mov	%ecx, %ss
	xor	%ecx, %ecx
	mov	%ecx, %ds
	mov	%ecx, %es
	mov	%ecx, %fs
	mov	%ecx, %gs
	mov	$GS_BASE, %ecx
	mov	%rax, %rdx
	shr	$32, %rdx
	wrmsr
	ret

/*
 * To begin with: 512 GiB mapped to themselves, as far as the processor has 1 GiB
 * pages, and the first of them again at KERNEL_BASE.
 */
	.macro	large_pages count, size, from
	.set	address, \from
	.rept	\count
	.quad	address + LARGE
	.set	address, address + \size
	.endr
	.endm

	.data
	.balign	4096
	.globl	boot_pml4, boot_pdpt
boot_pml4:
	.quad	boot_pdpt - KERNEL_BASE + TABLE
	.fill	510, 8, 0
	.quad	boot_pdpt_high - KERNEL_BASE + TABLE
boot_pdpt:
	.set	number, 0
	.rept	4
	.quad	boot_pd - KERNEL_BASE + number * 4096 + TABLE
	.set	number, number + 1
	.endr
	large_pages 508, 1 << 30, 4 << 30
boot_pdpt_high:
	.fill	510, 8, 0
	.quad	boot_pd - KERNEL_BASE + TABLE, 0
boot_pd:
	large_pages 2048, 1 << 21, 0

	.bss
	.balign	4096
	.globl	boot_stack, boot_stack_end
boot_stack:
	.skip	8192
boot_stack_end:

	.section .note.GNU-stack, "", @progbits
