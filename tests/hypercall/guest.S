/*
 * Guests in real mode, all bases 0. This page is guest-physical page 1; page 0
 * has the interrupt vectors and is data, as is page 2; nothing is at 0x8000.
 * It is text, since a guest may execute what its PD may.
 */
	.text
	.balign	4096
	.globl	guest_page
	.code16
	.macro	label name
	.globl	\name
\name:
	.endm
guest_page:
	.skip	16, 0xf4

/* One instruction each that exits. */
	label	guest_cpuid
	cpuid
	label	guest_hlt
	hlt
	label	guest_vmcall
	vmcall
	label	guest_vmmcall
	vmmcall
	label	guest_in
	in	%dx, %al
	label	guest_out_imm
	out	%al, $0x80
	label	guest_rdmsr
	rdmsr
	label	guest_wrmsr
	wrmsr
	label	guest_read
	movb	0x8000, %al
	label	guest_write
	movb	%al, 0x8010

/* Numbers on which it computes between two exits. */
	label	guest_compute
	inc	%ax
	add	$2, %bx
	shl	$1, %cx
	not	%dx
	hlt

/* For as long as it may: counts in page 2. */
	label	guest_spin
	incl	0x2000
	jmp	guest_spin
	label	guest_spin_end

	label	guest_read_loop
	movl	0x2000, %eax
	movl	%eax, 0x1c
	jmp	guest_read_loop

/* Interrupts are off, then on with a shadow of one instruction. */
	label	guest_sti
	nop
	nop
	sti
	label	guest_sti_shadow
	nop
	label	guest_sti_open
	nop
	nop
	hlt

	label	guest_handler
	hlt
	iret

	label	guest_rdtsc
	rdtsc
	hlt

	label	guest_ports
	mov	$0x3f8 + 7, %dx
	in	%dx, %al
	mov	$0x300, %dx
	label	guest_ports_exit
	in	%dx, %al

/* No way to deliver #UD: IDT limit 0. */
	label	guest_triple
	ud2

/* XMM registers, on and off. */
	label	guest_fpu
	fninit
	fld1
	hlt

/* All that XSAVE knows, from and to page 2. */
	label	guest_xrstor
	mov	$-1, %eax
	mov	%eax, %edx
	xrstor	0x2000
	hlt
	label	guest_xsave
	mov	$-1, %eax
	mov	%eax, %edx
	xsave	0x2000
	hlt

/* DR0 to DR3 and DR6, from EBX, or to page 2. */
	label	guest_fill_dr
	mov	%ebx, %dr0
	mov	%ebx, %dr1
	mov	%ebx, %dr2
	mov	%ebx, %dr3
	mov	$0xffff4ff1, %eax
	mov	%eax, %dr6
	hlt
	label	guest_read_dr
	mov	%dr0, %eax
	mov	%eax, 0x2000
	mov	%dr1, %eax
	mov	%eax, 0x2004
	mov	%dr2, %eax
	mov	%eax, 0x2008
	mov	%dr3, %eax
	mov	%eax, 0x200c
	mov	%dr6, %eax
	mov	%eax, 0x2010
	hlt

/* FS_BASE, GS_BASE, KERNEL_GS_BASE, from EAX, then to page 2: no exits. */
	label	guest_write_bases
	xor	%edx, %edx
	mov	$0xc0000100, %ecx
	.rept	3
	wrmsr
	inc	%ecx
	.endr
	label	guest_read_bases
	mov	$0x2000, %edi
	mov	$0xc0000100, %ecx
	.rept	3
	rdmsr
	stosl
	mov	%edx, %eax
	stosl
	inc	%ecx
	.endr
	hlt

	label	guest_rdtscp
	rdtscp
	hlt

/*
 * In long mode, 32 bits: paging is changed in ways that are nothing, and then
 * turned off, and PAE with it.
 */
	.code32
	label	guest_modes
	mov	%cr0, %ebx
	mov	%cr4, %ecx
	.rept	3
	btc	$7, %ecx		/* PGE */
	mov	%ecx, %cr4
	btc	$16, %ebx		/* WP */
	mov	%ebx, %cr0
	.endr
	btc	$31, %ebx		/* PG */
	mov	%ebx, %cr0
	btc	$5, %ecx		/* PAE */
	label	guest_modes_end
	mov	%ecx, %cr4
	hlt
	.balign	4096
	.code64

	.section .note.GNU-stack, "", @progbits
