/*
 * Selectors and addresses that modes.c and modes_code.S have in common.
 */
#pragma once

#define CODE_64		    0x10
#define FLAT_DATA	    0x18
#define CODE_32		    0x20
#define CODE_16		    0x28 /* its base is code_16 */
#define IOAPIC_DATA_SEGMENT 0x30 /* the IOAPIC is at NEAR */
#define BUFFER_SEGMENT	    0x38 /* and here the buffer */
#define USER_DATA	    0x43
#define USER_CODE	    0x4b

#define IOAPIC	0xfec00000
#define NOTHING 0xfed80000 /* nobody's */
#define NEAR	0x2000

#define INDEX 0x1a    /* of a redirection entry */
#define VALUE 0x10055 /* masked, and a vector */
