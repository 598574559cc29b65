//! The number that hosts and networks are hashed under. It is the same in each run on a machine, so that a
//! memory can be kept, and it is not kept with it.

use std::sync::OnceLock;

/// Files with a name for this machine that no other has: machine-id(5), and where D-Bus had it before.
const IDENTITIES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
/// What a shell or the system says of the machine and its user, where there is no such file.
const VARIABLES: [&str; 4] = ["COMPUTERNAME", "HOSTNAME", "USERNAME", "USER"];

pub(super) fn salt() -> u32 {
    static SALT: OnceLock<u32> = OnceLock::new();
    *SALT.get_or_init(|| {
        let identity = IDENTITIES.iter().find_map(|path| std::fs::read(path).ok());
        let identity = identity.unwrap_or_else(|| {
            VARIABLES.iter().filter_map(std::env::var_os).flat_map(|it| it.into_encoded_bytes()).collect()
        });
        hash(&identity)
    })
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of draft-eastlake-fnv.
    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!([hash(b""), hash(b"a"), hash(b"foobar")], [0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968]);
    }

    #[test]
    fn it_stays_the_same() {
        assert_eq!(salt(), salt());
    }
}
