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
    }
}
