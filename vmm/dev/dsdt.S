/* The DSDT as iasl compiled it from dsdt.asl. */

	.section .rodata
	.balign	8
	.globl	acpi_dsdt, acpi_dsdt_end
acpi_dsdt:
	.incbin	"dev/dsdt.aml"
acpi_dsdt_end:
	.section .note.GNU-stack, "", @progbits
