//! Which part of the memory belongs to which user.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Clients without a name have this one.
const NAMELESS: u32 = 0;

/// The part of the memory that each user has. It depends on the names alone, since it is kept in the memory's
/// file: it is the same after a restart, and in whatever order the users are listed.
///
/// Users who are listed have different parts for certain. Where no login is needed, any name will do, and two
/// of these may have the same part: by chance once in four billion, and on purpose by trying names.
#[derive(Debug)]
pub(crate) struct UserPartitions {
    listed: BTreeMap<Vec<u8>, u32>,
}

impl UserPartitions {
    /// For these users.
    pub(crate) fn new<'a>(users: impl Iterator<Item = &'a [u8]>) -> Self {
        Self::numbered(users, number)
    }

    fn numbered<'a>(users: impl Iterator<Item = &'a [u8]>, number: impl Fn(&[u8]) -> u32) -> Self {
        let mut listed: BTreeMap<Vec<u8>, u32> = users.map(|user| (user.to_vec(), NAMELESS)).collect();
        let mut taken = BTreeSet::from([NAMELESS]);
        // In the order of their names.
        for (user, part) in &mut listed {
            let mut free = number(user);
            // Ends: there are fewer users than numbers.
            while !taken.insert(free) {
                free = free.wrapping_add(1);
            }
            *part = free;
        }
        UserPartitions { listed }
    }

    /// The part of this user, who may be listed or not.
    pub(crate) fn of(&self, user: &[u8]) -> u32 {
        self.listed.get(user).copied().unwrap_or_else(|| number(user))
    }
}

/// The high half of a hash of the name.
fn number(user: &[u8]) -> u32 {
    let mut hasher = DefaultHasher::new();
    user.hash(&mut hasher);
    (hasher.finish() >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_users_have_parts_of_their_own_even_if_their_names_hash_alike() {
        let users: [&[u8]; 4] = [b"d", b"a", b"c", b"b"];
        for hash in [NAMELESS, 7, u32::MAX] {
            let parts = UserPartitions::numbered(users.into_iter(), |_| hash);
            let mut all: Vec<u32> = users.iter().map(|user| parts.of(user)).collect();
            // The order in which they are listed does not matter.
            let turned = UserPartitions::numbered(users.into_iter().rev(), |_| hash);
            assert!(users.iter().all(|user| parts.of(user) == turned.of(user)));
            all.push(NAMELESS);
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 5, "{hash}");
        }
    }

    #[test]
    fn a_user_s_part_depends_on_the_name_alone() {
        let (one, two) = (UserPartitions::new([&b"me"[..]].into_iter()), UserPartitions::new([].into_iter()));
        assert_eq!(one.of(b"me"), two.of(b"me"));
        assert_ne!(one.of(b"me"), one.of(b"you"));
    }
}
