/*
 * Arithmetic and logic, done by the processor itself: so results and flags are
 * its own, also those that the manual leaves undefined. A function for each
 * operation and width:
 *
 *	RAX = f(RDI destination, RSI source, RDX &flags)
 *
 * The result is the whole register: what an instruction leaves of the bits
 * above its width is left, or zeroed. Of the flags only the status flags mean
 * anything; TF, DF, AC and the like must be 0 before, the rest is ours after.
 */
	.text

.macro store_flags
	pushf
	popq	(%rdx)
.endm

.macro load_flags
	pushq	(%rdx)
	popf
.endm

.macro begin name, width
	.type	\name\()_\width, @function
\name\()_\width:
.endm

.macro finish name, width
	mov	%rdi, %rax
	ret
	.size	\name\()_\width, . - \name\()_\width
.endm

/* All flags are written, none read. */
.macro plain name, width, instruction:vararg
	begin	\name, \width
	\instruction
	store_flags
	finish	\name, \width
.endm

/* CF is read. */
.macro carry name, width, instruction:vararg
	begin	\name, \width
	btl	$0, (%rdx)
	\instruction
	store_flags
	finish	\name, \width
.endm

/* Some flags may stay as they are. */
.macro keeps name, width, instruction:vararg
	begin	\name, \width
	mov	%esi, %ecx
	load_flags
	\instruction
	store_flags
	finish	\name, \width
.endm

/* No flag is written. */
.macro quiet name, width, instruction:vararg
	begin	\name, \width
	\instruction
	finish	\name, \width
.endm

.macro binary kind, name
	\kind	\name, 1, \name %sil, %dil
	\kind	\name, 2, \name %si, %di
	\kind	\name, 4, \name %esi, %edi
	\kind	\name, 8, \name %rsi, %rdi
.endm

.macro unary kind, name
	\kind	\name, 1, \name %dil
	\kind	\name, 2, \name %di
	\kind	\name, 4, \name %edi
	\kind	\name, 8, \name %rdi
.endm

.macro shift name
	keeps	\name, 1, \name %cl, %dil
	keeps	\name, 2, \name %cl, %di
	keeps	\name, 4, \name %cl, %edi
	keeps	\name, 8, \name %cl, %rdi
.endm

/* Those that have no byte form. */
.macro wide kind, name
	\kind	\name, 2, \name %si, %di
	\kind	\name, 4, \name %esi, %edi
	\kind	\name, 8, \name %rsi, %rdi
	.set	\name\()_1, 0
.endm

	binary	plain, add
	binary	plain, or
	binary	carry, adc
	binary	carry, sbb
	binary	plain, and
	binary	plain, sub
	binary	plain, xor
	binary	plain, cmp
	shift	rol
	shift	ror
	shift	rcl
	shift	rcr
	shift	shl
	shift	shr
	shift	sar
	binary	plain, test
	unary	carry, inc
	unary	carry, dec
	unary	quiet, not
	unary	plain, neg
	wide	plain, imul
	wide	keeps, bt
	wide	keeps, bts
	wide	keeps, btr
	wide	keeps, btc
	binary	quiet, mov

.macro widths name
	.quad	\name\()_1, \name\()_2, \name\()_4, \name\()_8
.endm

/* In the order of enum operation. */
	.section .data.rel.ro, "aw"
	.globl	alu_table
	.balign	8
alu_table:
	.irp	name, add, or, adc, sbb, and, sub, xor, cmp
	widths	\name
	.endr
	.irp	name, rol, ror, rcl, rcr, shl, shr, shl, sar
	widths	\name
	.endr
	.irp	name, test, inc, dec, not, neg, imul, bt, bts, btr, btc, mov
	widths	\name
	.endr

	.section .note.GNU-stack, "", @progbits
