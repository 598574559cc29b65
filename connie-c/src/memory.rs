//! What a program of C does with a memory.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(crate) use connie_std::Memory;

use crate::call_error::CallError;

pub(crate) fn load(path: Option<&CStr>) -> Result<Memory, CallError> {
    Memory::load(as_path(path)?).map_err(|error| CallError::other(error.to_string()))
}

pub(crate) fn save(memory: Option<&Memory>, path: Option<&CStr>) -> Result<(), CallError> {
    let path = as_path(path)?;
    let memory =
        memory.ok_or_else(|| CallError::invalid("the memory is NULL: make it with connie_memory_new"))?;
    memory
        .save(path)
        .map_err(|error| CallError::other(format!("could not write {}: {error}", path.display())))
}

/// Any octets name a file.
fn as_path(path: Option<&CStr>) -> Result<&Path, CallError> {
    let path = path.ok_or_else(|| CallError::invalid("the path is NULL"))?;
    Ok(Path::new(OsStr::from_bytes(path.to_bytes())))
}
