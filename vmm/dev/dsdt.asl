/*
 * What the guest cannot find out by itself: one PCI bus with its windows and
 * interrupts, the devices of the ISA bus, and how to switch off. Addresses are
 * those of the devices' files and of platform.h.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "MCNOVA", "MICRONOV", 1)
{
	/* Soft-off: SLP_TYP as acpi_pm.c knows it. */
	Name (\_S5, Package () { 0, 0, 0, 0 })

	Scope (\_SB)
	{
		/* The host bridge: bus 0 and no other. */
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_BBN, 0)

			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed,
					MaxFixed, PosDecode,
					0, 0, 0, 0, 1)
				IO (Decode16, 0x0cf8, 0x0cf8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed,
					PosDecode, EntireRange,
					0, 0x0000, 0x0cf7, 0, 0x0cf8)
				WordIO (ResourceProducer, MinFixed, MaxFixed,
					PosDecode, EntireRange,
					0, 0x0d00, 0xffff, 0, 0xf300)
				DWordMemory (ResourceProducer, PosDecode,
					MinFixed, MaxFixed, NonCacheable,
					ReadWrite, 0, 0x000a0000, 0x000bffff,
					0, 0x00020000)
				DWordMemory (ResourceProducer, PosDecode,
					MinFixed, MaxFixed, NonCacheable,
					ReadWrite, 0, 0xc0000000, 0xfebfffff,
					0, 0x3ec00000)
			})

			/*
			 * INTA of device n is PIRQ A + (n - 1) mod 4, INTB the
			 * next, and so on: piix3.c. The index is
			 * device * 4 + pin.
			 */
			Method (_PRT, 0, Serialized)
			{
				Local0 = Package (128) {}
				For (Local1 = 0, Local1 < 128, Local1++)
				{
					Local2 = Local1 >> 2
					Switch (ToInteger ((Local1 + Local2 +
							    3) & 3))
					{
					Case (0)
					{
						Local3 = Package ()
							{ 0, 0, LNKA, 0 }
					}
					Case (1)
					{
						Local3 = Package ()
							{ 0, 0, LNKB, 0 }
					}
					Case (2)
					{
						Local3 = Package ()
							{ 0, 0, LNKC, 0 }
					}
					Default
					{
						Local3 = Package ()
							{ 0, 0, LNKD, 0 }
					}
					}
					Local3[0] = (Local2 << 16) | 0xffff
					Local3[1] = Local1 & 3
					Local0[Local1] = Local3
				}
				Return (Local0)
			}

			/* PIIX3: the ISA bus. */
			Device (ISA)
			{
				Name (_ADR, 0x00010000)
				OperationRegion (PIRQ, PCI_Config, 0x60, 4)
				Field (PIRQ, ByteAcc, NoLock, Preserve)
				{
					PRQA, 8,
					PRQB, 8,
					PRQC, 8,
					PRQD, 8
				}

				Device (PIC)
				{
					Name (_HID, EisaId ("PNP0000"))
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x20, 0x20, 1, 2)
						IO (Decode16, 0xa0, 0xa0, 1, 2)
						IO (Decode16, 0x4d0, 0x4d0,
							1, 2)
						IRQNoFlags () { 2 }
					})
				}

				Device (TIMR)
				{
					Name (_HID, EisaId ("PNP0100"))
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x40, 0x40, 1, 4)
						IRQNoFlags () { 0 }
					})
				}

				Device (SPKR)
				{
					Name (_HID, EisaId ("PNP0800"))
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x61, 0x61, 1, 1)
					})
				}

				Device (RTC)
				{
					Name (_HID, EisaId ("PNP0B00"))
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x70, 0x70, 1, 2)
						IRQNoFlags () { 8 }
					})
				}

				Device (COM1)
				{
					Name (_HID, EisaId ("PNP0501"))
					Name (_UID, 1)
					Name (_STA, 0x0f)
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x3f8, 0x3f8,
							1, 8)
						IRQNoFlags () { 4 }
					})
				}

				/* The board: taken, and no driver's. */
				Device (MBRD)
				{
					Name (_HID, EisaId ("PNP0C02"))
					Name (_UID, 1)
					Name (_CRS, ResourceTemplate ()
					{
						IO (Decode16, 0x80, 0x80,
							1, 16)
						IO (Decode16, 0x92, 0x92, 1, 1)
						IO (Decode16, 0xb2, 0xb2, 1, 2)
						IO (Decode16, 0xed, 0xed, 1, 1)
					})
				}
			}
		}

		/*
		 * Of an interrupt link whose register holds Arg0: its status,
		 */
		Method (LSTA, 1)
		{
			If (Arg0 & 0x80)
			{
				Return (0x09)
			}
			Return (0x0b)
		}

		/* its interrupt now, 0 if it is disabled, */
		Name (LBUF, ResourceTemplate ()
		{
			Interrupt (, Level, ActiveHigh, Shared) { 0 }
		})
		CreateDWordField (LBUF, 5, LIRQ)
		Method (LCRS, 1, Serialized)
		{
			LIRQ = 0
			If (Arg0 < 0x80)
			{
				LIRQ = Arg0
			}
			Return (LBUF)
		}

		/* and those that it may have. */
		Name (LPRS, ResourceTemplate ()
		{
			Interrupt (, Level, ActiveHigh, Shared) { 5, 10, 11 }
		})

		Device (LNKA)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 0)
			Method (_STA) { Return (LSTA (^^PCI0.ISA.PRQA)) }
			Method (_CRS) { Return (LCRS (^^PCI0.ISA.PRQA)) }
			Method (_PRS) { Return (LPRS) }
			Method (_DIS) { ^^PCI0.ISA.PRQA |= 0x80 }
			Method (_SRS, 1)
			{
				CreateDWordField (Arg0, 5, IRQ)
				^^PCI0.ISA.PRQA = IRQ
			}
		}

		Device (LNKB)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 1)
			Method (_STA) { Return (LSTA (^^PCI0.ISA.PRQB)) }
			Method (_CRS) { Return (LCRS (^^PCI0.ISA.PRQB)) }
			Method (_PRS) { Return (LPRS) }
			Method (_DIS) { ^^PCI0.ISA.PRQB |= 0x80 }
			Method (_SRS, 1)
			{
				CreateDWordField (Arg0, 5, IRQ)
				^^PCI0.ISA.PRQB = IRQ
			}
		}

		Device (LNKC)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 2)
			Method (_STA) { Return (LSTA (^^PCI0.ISA.PRQC)) }
			Method (_CRS) { Return (LCRS (^^PCI0.ISA.PRQC)) }
			Method (_PRS) { Return (LPRS) }
			Method (_DIS) { ^^PCI0.ISA.PRQC |= 0x80 }
			Method (_SRS, 1)
			{
				CreateDWordField (Arg0, 5, IRQ)
				^^PCI0.ISA.PRQC = IRQ
			}
		}

		Device (LNKD)
		{
			Name (_HID, EisaId ("PNP0C0F"))
			Name (_UID, 3)
			Method (_STA) { Return (LSTA (^^PCI0.ISA.PRQD)) }
			Method (_CRS) { Return (LCRS (^^PCI0.ISA.PRQD)) }
			Method (_PRS) { Return (LPRS) }
			Method (_DIS) { ^^PCI0.ISA.PRQD |= 0x80 }
			Method (_SRS, 1)
			{
				CreateDWordField (Arg0, 5, IRQ)
				^^PCI0.ISA.PRQD = IRQ
			}
		}
	}
}
