//! `memcpy` and its like in 160 bytes.
//!
//! The compiler's own are written for speed and built before the firmware chooses its `opt-level`; they
//! take 3.4 KB, and only a nightly compiler builds them anew (`-Zbuild-std-features=optimize_for_size`). They
//! are weak symbols, so that a program may bring others. Not in Rust, where the compiler would take the loop
//! inside `memcpy` for a `memcpy`.
//!
//! Words are moved whatever their alignment: Armv7-M allows it for single loads and stores in normal memory
//! (Armv7-M Architecture Reference Manual, A3.2.1), and nothing here sets `CCR.UNALIGN_TRP`. A register of a
//! device is never written by these.
//!
//! `src/bin/memory.rs` tries them at all offsets and lengths.

use core::arch::global_asm;

// Registers 0 to 3 and 12 may be changed, and the first must come back (Procedure Call Standard for the Arm
// Architecture, 6.1.1), by memcpy, memmove and memset; their `__aeabi` forms return nothing (Run-time ABI for
// the Arm Architecture, 5.3.4), and there the byte to set is the last argument.
global_asm!(
    r#"
    .syntax unified
    .thumb

    .macro entry names:vararg
    .irp name, \names
    .global \name
    .type \name, %function
    .thumb_func
    \name:
    .endr
    .endm

    .pushsection .text.small_memcpy, "ax", %progbits
    .p2align 1
    @ A destination below the source, or beyond its end, is written upwards.
    entry memmove, __aeabi_memmove, __aeabi_memmove4, __aeabi_memmove8
    subs r3, r0, r1
    cmp r3, r2
    blo 5f
    entry memcpy, __aeabi_memcpy, __aeabi_memcpy4, __aeabi_memcpy8
    mov r12, r0
    b 2f
1:  ldr r3, [r1], #4
    str r3, [r12], #4
2:  subs r2, r2, #4
    bhs 1b
    adds r2, r2, #4
    beq 4f
3:  ldrb r3, [r1], #1
    strb r3, [r12], #1
    subs r2, r2, #1
    bne 3b
4:  bx lr
    @ Downwards, from both ends.
5:  add r1, r1, r2
    add r12, r0, r2
    b 7f
6:  ldr r3, [r1, #-4]!
    str r3, [r12, #-4]!
7:  subs r2, r2, #4
    bhs 6b
    adds r2, r2, #4
    beq 4b
8:  ldrb r3, [r1, #-1]!
    strb r3, [r12, #-1]!
    subs r2, r2, #1
    bne 8b
    bx lr

    .popsection

    .pushsection .text.small_memset, "ax", %progbits
    .p2align 1
    entry __aeabi_memclr, __aeabi_memclr4, __aeabi_memclr8
    movs r2, #0
    entry __aeabi_memset, __aeabi_memset4, __aeabi_memset8
    mov r3, r1
    mov r1, r2
    mov r2, r3
    entry memset
    mov r12, r0
    and r1, r1, #255
    orr r1, r1, r1, lsl #8
    orr r1, r1, r1, lsl #16
    b 2f
1:  str r1, [r12], #4
2:  subs r2, r2, #4
    bhs 1b
    adds r2, r2, #4
    beq 4f
3:  strb r1, [r12], #1
    subs r2, r2, #1
    bne 3b
4:  bx lr
    .popsection
    .purgem entry
    "#
);
