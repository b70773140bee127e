//! Names of segments and of objects in them.

use super::fail;
use crate::error::{ErrorKind, Result};
use crate::format::NAME_SIZE;
use std::boxed::Box;
use std::format;
use std::path::{Path, PathBuf};

/// Where named segments live: the file system that `shm_open` uses.
pub(super) const DIRECTORY: &str = "/dev/shm";
/// The most bytes of a segment's name, its slash included.
const NAME_MAX: usize = 250;

/// A segment's name that keeps the rules of `shm_open`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(Box<str>);

impl Name {
    /// Checks `name`: one leading slash and no other, at most 250 bytes, neither `/.` nor `/..`, no NUL.
    pub fn new(name: &str) -> Result<Name> {
        let why = match name.strip_prefix('/') {
            None => "it does not start with a slash",
            Some("") => "there is nothing behind the slash",
            Some("." | "..") => "it names a directory",
            Some(rest) if rest.contains('/') => "it has a second slash",
            Some(rest) if rest.contains('\0') => "it has a NUL byte",
            Some(_) if name.len() > NAME_MAX => {
                return Err(fail(ErrorKind::BadName, format!("the name has {} bytes", name.len())));
            }
            Some(_) => return Ok(Name(name.into())),
        };
        Err(fail(ErrorKind::BadName, format!("{name:?}: {why}")))
    }

    /// The file behind the name.
    pub fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.0[1..])
    }

    pub fn as_str(&self) -> &str {
        &self.0
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
            assert_eq!(Name::new(good).unwrap().path(), Path::new("/dev/shm").join(&good[1..]));
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
