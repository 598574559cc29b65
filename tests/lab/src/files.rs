//! Files of the system, as a test wants them.

use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::thread::UnshareFlags;

/// Gives this thread, and the threads and processes that it starts, a view of the file system in which each
/// of these files (`/etc/hosts`, say) has this content. All else is as it was, and nobody else sees it.
///
/// Call it from within the body of a laboratory, where an ordinary user is allowed to.
///
/// # Panics
/// When the kernel does not take it, or a file does not exist.
#[track_caller]
pub fn replace_files(files: &[(&str, impl AsRef<[u8]>)]) {
    // SAFETY: nothing but the view of the file systems is unshared, not the table of file descriptors.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.expect("a mount namespace");
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .expect("a mount of our own");
    for (path, content) in files {
        let own = connie_servers::temporary_path("etc");
        std::fs::write(&own, content).expect("a temporary file");
        let mounted = mount_bind(&own, *path);
        // What is mounted stays.
        let _ = std::fs::remove_file(&own);
        mounted.unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}
