/* The differentiated system description table: what the virtual machine has that its operating system cannot probe for.
 * Numbers: vmm/device.h; the unit test compares them. No PCI root: there is no PCI. */
DefinitionBlock ("", "DSDT", 2, "BEAML4", "BEAML4VM", 1)
{
    /* SLEEP_TYPE_S5 for PM1a_CNT and PM1b_CNT (ACPI 6.5, 7.4.2). */
    Name (\_S5, Package () { 5, 5, 0, 0 })

    Scope (\_SB)
    {
        Device (CPU0)
        {
            Name (_HID, "ACPI0007")
            Name (_UID, 0) /* as in the MADT */
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x3f8, 0x3f8, 1, 8)
                IRQNoFlags () { 4 }
            })
        }

        Device (RTC0)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x70, 0x70, 1, 2)
                IRQNoFlags () { 8 }
            })
        }

        /* virtio-mmio (VIRTIO 1.2, 4.2.3.1): places, of which a byte beside the tables says which are taken
         * (ACPI_VIRTIO_PRESENT). An edge is as good as a level: the device raises one for each reason to look. */
        OperationRegion (VIOR, SystemMemory, 0xe0028, 1)
        Field (VIOR, ByteAcc, NoLock, Preserve)
        {
            VIP0, 1, VIP1, 1, VIP2, 1, VIP3, 1, VIP4, 1, VIP5, 1, VIP6, 1, VIP7, 1
        }

        Device (VIO0)
        {
            Name (_HID, "LNRO0005")
            Name (_UID, 0)
            Name (_CCA, 1)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xfeb00000, 0x1000)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 16 }
            })
            Method (_STA)
            {
                Return (VIP0 * 0xf)
            }
        }

        Device (VIO1)
        {
            Name (_HID, "LNRO0005")
            Name (_UID, 1)
            Name (_CCA, 1)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xfeb01000, 0x1000)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 17 }
            })
            Method (_STA)
            {
                Return (VIP1 * 0xf)
            }
        }

        Device (VIO2)
        {
            Name (_HID, "LNRO0005")
            Name (_UID, 2)
            Name (_CCA, 1)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xfeb02000, 0x1000)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 18 }
            })
            Method (_STA)
            {
                Return (VIP2 * 0xf)
            }
        }

        Device (VIO3)
        {
            Name (_HID, "LNRO0005")
            Name (_UID, 3)
            Name (_CCA, 1)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xfeb03000, 0x1000)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 19 }
            })
            Method (_STA)
            {
                Return (VIP3 * 0xf)
            }
        }

        Device (VIO4)
        {
            Name (_HID, "LNRO0005")
            Name (_UID, 4)
            Name (_CCA, 1)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xfeb04000, 0x1000)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 20 }
            })
            Method (_STA)
            {
                Return (VIP4 * 0xf)
            }
        }

        Device (VIO5)
        {
            Name (_HID, "LNRO0005")
            Name (_UID, 5)
            Name (_CCA, 1)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xfeb05000, 0x1000)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 21 }
            })
            Method (_STA)
            {
                Return (VIP5 * 0xf)
            }
        }

        Device (VIO6)
        {
            Name (_HID, "LNRO0005")
            Name (_UID, 6)
            Name (_CCA, 1)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xfeb06000, 0x1000)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 22 }
            })
            Method (_STA)
            {
                Return (VIP6 * 0xf)
            }
        }

        Device (VIO7)
        {
            Name (_HID, "LNRO0005")
            Name (_UID, 7)
            Name (_CCA, 1)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadWrite, 0xfeb07000, 0x1000)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 23 }
            })
            Method (_STA)
            {
                Return (VIP7 * 0xf)
            }
        }
    }
}
