//! The names of segments and objects.

use super::fail;
use crate::error::{ErrorKind, Result, format};
use crate::format::NAME_SIZE;
use core::ffi::CStr;

/// The directory of named segments: the one that `shm_open` uses.
pub(super) const DIRECTORY: &str = "/dev/shm";
/// The most bytes of a segment's name, including its slash.
const NAME_MAX: usize = 250;

/// A segment's name that follows the rules of `shm_open`, as the NUL-terminated path of its file. It allocates nothing, so
/// using a name cannot fail.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Name {
    path: [u8; DIRECTORY.len() + NAME_MAX + 1],
    len: u8,
}

impl Name {
    /// Checks `name`: one leading slash and no other, at most 250 bytes, neither `/.` nor `/..`, no NUL.
    pub fn new(name: &str) -> Result<Name> {
        let why = match name.strip_prefix('/') {
            None => "it must start with a slash",
            Some("") => "it needs at least one byte after the slash",
            Some("." | "..") => "it names a directory",
            Some(rest) if rest.contains('/') => "it has a second slash",
            Some(rest) if rest.contains('\0') => "it has a NUL byte",
            Some(_) if name.len() > NAME_MAX => {
                return Err(fail(
                    ErrorKind::BadName,
                    format!("the name has {} bytes, at most {NAME_MAX} are possible", name.len()),
                ));
            }
            Some(_) => {
                let mut path = [0; DIRECTORY.len() + NAME_MAX + 1];
                path[..DIRECTORY.len()].copy_from_slice(DIRECTORY.as_bytes());
                path[DIRECTORY.len()..][..name.len()].copy_from_slice(name.as_bytes());
                return Ok(Name { path, len: name.len() as u8 });
            }
        };
        Err(fail(ErrorKind::BadName, format!("{name:?}: {why}")))
    }

    /// The path of the file behind the name.
    pub fn path(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.path).unwrap_or_default()
    }

    pub fn as_str(&self) -> &str {
        let name = &self.path[DIRECTORY.len()..][..self.len.into()];
        core::str::from_utf8(name).unwrap_or_default()
    }
}

impl core::fmt::Debug for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.as_str().fmt(f)
    }
}

/// An object's name as a directory entry holds it: NUL-terminated, padded with zeros, packed into words.
pub(super) fn pack_object_name(name: &str) -> Result<[u64; NAME_SIZE / 8]> {
    if name.is_empty() || name.len() >= NAME_SIZE || name.contains('\0') {
        let rule =
            format!("object name {name:?}: names of objects have 1 to {} bytes and no NUL", NAME_SIZE - 1);
        return Err(fail(ErrorKind::InvalidInput, rule));
    }
    let mut bytes = [0u8; NAME_SIZE];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Ok(bytemuck::cast(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn a_name_is_one_slash_and_a_file_name() {
        for good in ["/a", "/interproc.demo", "/...", "/with space", "/ünïcode"] {
            assert_eq!(Name::new(good).unwrap().path().to_str().unwrap(), std::format!("/dev/shm{good}"));
        }
        let long = |n: usize| String::from("/") + &"x".repeat(n - 1);
        assert!(Name::new(&long(250)).is_ok());
        let too_long = long(251);
        for bad in
            ["", "a", "/", "/.", "/..", "//", "/a/b", "/a/", "a/b", "/a\0b", "/../x", too_long.as_str()]
        {
            assert_eq!(Name::new(bad).unwrap_err().kind(), ErrorKind::BadName, "{bad:?}");
        }
    }

    #[test]
    fn an_objects_name_leaves_room_for_its_nul() {
        assert!(pack_object_name(&"n".repeat(47)).is_ok());
        for bad in ["", "a\0b", &"n".repeat(48)] {
            assert_eq!(pack_object_name(bad).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
