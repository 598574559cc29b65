//! The interrupts of the LM3S6965, which the vector table ends with. Without this list cortex-m-rt has room
//! for the 240 that a Cortex-M3 could have.

unsafe extern "C" {
    /// cortex-m-rt's own, which never returns.
    fn DefaultHandler();
}

/// 44 (LM3S6965 data sheet, table "Interrupts"), of which the last are the Ethernet controller and the
/// hibernation module. None has a handler: interrupts stay masked.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); COUNT] = [DefaultHandler; COUNT];

/// A Cortex-M0+ has 32 at most, and cortex-m-rt looks.
const COUNT: usize = if cfg!(armv7m) { 44 } else { 32 };
