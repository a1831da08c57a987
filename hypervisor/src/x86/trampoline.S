/*
 * Where another CPU starts: smp.c copies this to a page below 1 MiB, and the
 * CPU begins at its first byte in real mode, CS = page << 8. It goes to 64-bit
 * mode in one step, on the boot page tables, which still map all low memory to
 * itself. Offsets are relative to the page; the two linear addresses in it are
 * made right by smp.c.
 */

#define KERNEL_BASE	0xffffffff80000000	/* hypervisor.ld */
#define CR0_BOOT	0x80010033	/* PG WP NE ET MP PE; caches on */
#define CR4_PAE		(1 << 5)
#define EFER		0xc0000080
#define EFER_BOOT	0x900		/* NXE LME */

	.section .rodata.trampoline, "a"
	.code16
	.globl	trampoline_start, trampoline_end
	.globl	trampoline_gdt, trampoline_target
trampoline_start:
	cli
	cld
	mov	%cs, %ax
	mov	%ax, %ds

	mov	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	$boot_pml4 - KERNEL_BASE, %eax
	mov	%eax, %cr3
	mov	$EFER, %ecx
	mov	$EFER_BOOT, %eax
	xor	%edx, %edx
	wrmsr
	lgdtl	gdt_pointer - trampoline_start
	mov	$CR0_BOOT, %eax
	mov	%eax, %cr0
	ljmpl	*(trampoline_target - trampoline_start)

	.code64
long_mode:
	movabs	$ap_entry, %rax
	jmp	*%rax

	.balign	8
gdt:	.quad	0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
	.short	gdt_pointer - gdt - 1
trampoline_gdt:
	.long	gdt - trampoline_start
trampoline_target:
	.long	long_mode - trampoline_start
	.short	8
trampoline_end:

	.section .note.GNU-stack, "", @progbits
