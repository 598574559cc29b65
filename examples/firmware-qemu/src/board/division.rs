//! The division of 64-bit numbers in 50 bytes, in place of the compiler's 900, which are written for speed:
//! see `memory`. Times are divided, and the lengths of bodies as they are printed, a few times for a frame.
//!
//! `src/bin/memory.rs` tries it.

use core::arch::global_asm;

// `__aeabi_uldivmod` takes the numerator in the registers 0 and 1 and the denominator in 2 and 3, and answers
// the quotient and the remainder in the same (Run-time ABI for the Arm Architecture, 5.3.1). One bit of the
// numerator after the other goes into a remainder, in 4 and 5, and the bits of the quotient follow it.
// Nobody divides by zero: the compiler looks before.
global_asm!(
    r#"
    .syntax unified
    .thumb
    .pushsection .text.small_uldivmod, "ax", %progbits
    .p2align 1
    .global __aeabi_uldivmod
    .type __aeabi_uldivmod, %function
    .thumb_func
    __aeabi_uldivmod:
    push {{r4, r5, r6, r7, lr}}
    movs r4, #0
    movs r5, #0
    movs r6, #64
    cbnz r1, 1f
    @ The upper half is zero, and so is what it would leave.
    mov r1, r0
    movs r0, #0
    movs r6, #32
1:  adds r0, r0, r0
    adcs r1, r1, r1
    adcs r4, r4, r4
    adcs r5, r5, r5
    @ No bit has left it: before the last it has 63 at most.
    subs r7, r4, r2
    sbcs r7, r5, r3
    blo 2f
    subs r4, r4, r2
    sbcs r5, r5, r3
    adds r0, r0, #1
2:  subs r6, r6, #1
    bne 1b
    mov r2, r4
    mov r3, r5
    pop {{r4, r5, r6, r7, pc}}
    .popsection
    "#
);
