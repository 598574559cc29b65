//! The handles of a process, counted in the list of all that Windows and Wine keep. `GetProcessHandleCount`
//! would be less, and says 0 under Wine.

use std::ffi::c_void;
use std::io;

/// Of `NtQuerySystemInformation`: the answer is a `SYSTEM_HANDLE_INFORMATION_EX`.
const EXTENDED_HANDLE_INFORMATION: u32 = 64;
const INFO_LENGTH_MISMATCH: u32 = 0xc000_0004;
/// The answer's words, of which the first says how many handles follow.
const HEAD: usize = 2;
/// Those of a `SYSTEM_HANDLE_TABLE_ENTRY_INFO_EX`: three of a pointer's size, of which the second is the
/// process, and 16 octets.
const EACH: usize = 3 + 16 / size_of::<usize>();
const PROCESS: usize = 1;
/// Far more than a machine has.
const MOST_WORDS: usize = 1 << 26;

#[link(name = "ntdll")]
unsafe extern "system" {
    fn NtQuerySystemInformation(class: u32, into: *mut c_void, length: u32, needed: *mut u32) -> u32;
}

/// # Errors
/// When the system does not say.
pub(super) fn of_process(id: u32) -> io::Result<usize> {
    let mut words = 1 << 16;
    while words < MOST_WORDS {
        // Words, since a structure of pointers has to be aligned as they are.
        let mut answer = vec![0_usize; words];
        let length = u32::try_from(size_of_val(&*answer)).map_err(io::Error::other)?;
        let into = answer.as_mut_ptr().cast();
        // SAFETY: the call writes at most `length` octets to `into`, and `answer` has as many; how many it
        // would need, it may leave unsaid.
        let status = unsafe {
            NtQuerySystemInformation(EXTENDED_HANDLE_INFORMATION, into, length, std::ptr::null_mut())
        };
        match status {
            0 => {
                let handles = answer[HEAD..].chunks_exact(EACH).take(answer[0]);
                return Ok(handles.filter(|handle| handle[PROCESS] == id as usize).count());
            }
            INFO_LENGTH_MISMATCH => words *= 2,
            other => return Err(io::Error::other(format!("NtQuerySystemInformation: {other:#x}"))),
        }
    }
    Err(io::Error::other("too many handles to list"))
}
