//! The fixed part of the header: planned at creation, checked at every opening.
//!
//! The checks run on a private copy, in an order that gives each fault its own error: magic (another program's file),
//! length of the header, version (another version may lay out everything else differently), checksum, features, geometry,
//! length of the file. After the checks the copy, and never the file, says where things lie.

use super::fail;
use crate::error::format;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{
    self, Changing, ENTRY_SIZE, Fixed, Header, KNOWN_INCOMPAT, MAGIC, MAX_MEMBERS, MAX_OBJECTS, VERSION,
};
use core::mem::offset_of;
use std::string::String;

/// The bytes that the checks read.
pub(super) const FIXED_LEN: usize = size_of::<Fixed>();
/// Where the header's changing words lie in the file.
pub(super) const CHANGING_OFF: usize = offset_of!(Header, changing);
pub(super) const RETIRED_OFF: u64 = (CHANGING_OFF + offset_of!(Changing, retired)) as u64;
pub(super) const STRONG_FENCES_OFF: u64 = (CHANGING_OFF + offset_of!(Changing, strong_fences)) as u64;
pub(super) const TOUCHED_END_OFF: u64 = (CHANGING_OFF + offset_of!(Changing, touched_end)) as u64;

/// The properties of a new segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub page: u64,
    pub size: usize,
    pub max_members: u32,
    pub max_objects: u32,
    pub features_compat: u64,
    pub created_ns: u64,
    pub creator_pid: u32,
    pub creator_uid: u32,
}

/// Lays out a new segment.
pub(super) fn plan(p: &Plan) -> Result<Fixed> {
    let limit = |what, n: u64, most: u64| {
        let range = || fail(ErrorKind::InvalidInput, format!("{what} is {n}; it must be from 1 to {most}"));
        if n == 0 || n > most { Err(range()) } else { Ok(n) }
    };
    limit("the size", p.size as u64, (isize::MAX as u64) >> 1)?;
    limit("max_members", p.max_members.into(), MAX_MEMBERS.into())?;
    limit("max_objects", p.max_objects.into(), MAX_OBJECTS.into())?;
    // No sum below overflows: at most 2^62 + 2^14 pages + 2^23.
    let dir_off = p.page * (1 + u64::from(p.max_members));
    let payload_off = (dir_off + u64::from(p.max_objects) * ENTRY_SIZE as u64).next_multiple_of(p.page);
    let payload_len = (p.size as u64).next_multiple_of(p.page);
    let mut fixed = Fixed {
        magic: MAGIC,
        version: VERSION,
        page_size: p.page as u32,
        features_incompat: 0,
        features_compat: p.features_compat,
        max_members: p.max_members,
        max_objects: p.max_objects,
        slots_off: p.page,
        dir_off,
        payload_off,
        payload_len,
        total_len: payload_off + payload_len,
        created_ns: p.created_ns,
        creator_pid: p.creator_pid,
        creator_uid: p.creator_uid,
        reserved: [0; 19],
        checksum: 0,
    };
    fixed.checksum = checksum(&fixed);
    Ok(fixed)
}

/// The checksum that the header must have.
pub(super) fn checksum(fixed: &Fixed) -> u64 {
    format::checksum(&bytemuck::bytes_of(fixed)[..offset_of!(Fixed, checksum)])
}

/// Checks the first bytes of a file of `file_len` bytes; `label` names it in errors.
pub(super) fn check(label: &str, start: &[u8], file_len: u64, page: u64) -> Result<Fixed> {
    let magic = start.first_chunk::<8>().map(|b| u64::from_le_bytes(*b));
    if magic != Some(MAGIC) {
        return Err(fail(ErrorKind::Foreign, format!("{label}, {file_len} bytes")));
    }
    let Some(bytes) = start.first_chunk::<FIXED_LEN>() else {
        let sizes = format!("{label} has {file_len} bytes; its header alone has {FIXED_LEN}");
        return Err(fail(ErrorKind::Truncated, sizes));
    };
    let fixed: Fixed = bytemuck::pod_read_unaligned(bytes);
    if fixed.version != VERSION {
        let versions = format!("{label} has format version {}; this build reads {VERSION}", fixed.version);
        return Err(fail(ErrorKind::VersionMismatch, versions));
    }
    let corrupt = |what: String| fail(ErrorKind::Corrupt, format!("{label}: {what}"));
    let sum = checksum(&fixed);
    if fixed.checksum != sum {
        return Err(corrupt(format!(
            "the header's checksum is {:#018x}, its bytes give {sum:#018x}",
            fixed.checksum
        )));
    }
    let unknown = fixed.features_incompat & !KNOWN_INCOMPAT;
    if unknown != 0 {
        let features = format!("{label} needs features {unknown:#x}; this build knows {KNOWN_INCOMPAT:#x}");
        return Err(fail(ErrorKind::VersionMismatch, features));
    }
    check_geometry(&fixed, page).map_err(corrupt)?;
    check_length(label, &fixed, file_len)?;
    Ok(fixed)
}

/// Refuses a file that is shorter than its header says.
pub(super) fn check_length(label: &str, fixed: &Fixed, file_len: u64) -> Result<()> {
    if file_len >= fixed.total_len {
        return Ok(());
    }
    let sizes = format!("{label} has {file_len} bytes; its header says {}", fixed.total_len);
    Err(Error::from(ErrorKind::Truncated).with_detail(sizes))
}

/// Checks that the parts lie in order, aligned, without overlap, inside the file and within the limits. Offsets need not be
/// the least possible: a later build may leave room between the parts.
fn check_geometry(f: &Fixed, page: u64) -> core::result::Result<(), String> {
    let rule = |holds: bool, what: &str| if holds { Ok(()) } else { Err(String::from(what)) };
    if u64::from(f.page_size) != page {
        return Err(format!("it was made for pages of {} bytes; this system's have {page}", f.page_size));
    }
    rule((1..=MAX_MEMBERS).contains(&f.max_members), "max_members is out of range")?;
    rule((1..=MAX_OBJECTS).contains(&f.max_objects), "max_objects is out of range")?;
    rule(f.slots_off >= page && f.slots_off.is_multiple_of(page), "the member slots are misplaced")?;
    rule(f.dir_off.is_multiple_of(page), "the directory is misaligned")?;
    rule(f.payload_off.is_multiple_of(page), "the payload is misaligned")?;
    rule(f.payload_len > 0 && f.payload_len.is_multiple_of(page), "the payload's size is impossible")?;
    // The products are of 14 and 17 bits by a page or an entry: no overflow.
    let end = |from: u64, len: u64| from.checked_add(len).ok_or_else(|| String::from("an offset overflows"));
    rule(end(f.slots_off, u64::from(f.max_members) * page)? <= f.dir_off, "slots and directory overlap")?;
    let dir_len = u64::from(f.max_objects) * ENTRY_SIZE as u64;
    rule(end(f.dir_off, dir_len)? <= f.payload_off, "directory and payload overlap")?;
    rule(end(f.payload_off, f.payload_len)? <= f.total_len, "the payload is longer than the file")?;
    rule(f.total_len <= isize::MAX as u64, "the total size is impossible")
}

#[cfg(test)]
impl Plan {
    pub fn sample(size: usize, max_members: u32, max_objects: u32) -> Plan {
        let (features_compat, created_ns, creator_pid, creator_uid) = (0, 0, 1, 0);
        Plan {
            page: 4096,
            size,
            max_members,
            max_objects,
            features_compat,
            created_ns,
            creator_pid,
            creator_uid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    fn sample() -> Fixed {
        plan(&Plan::sample(10_000, 64, 64)).unwrap()
    }

    fn signed(mut fixed: Fixed) -> Fixed {
        fixed.checksum = checksum(&fixed);
        fixed
    }

    fn verdict(fixed: &Fixed, len: u64) -> core::result::Result<Fixed, ErrorKind> {
        check("test", bytemuck::bytes_of(fixed), len, PAGE).map_err(|e| e.kind())
    }

    #[test]
    fn a_planned_header_passes_its_own_checks() {
        let f = sample();
        assert_eq!(verdict(&f, f.total_len), Ok(f));
        assert_eq!((f.payload_len, f.dir_off, f.payload_off), (3 * PAGE, 65 * PAGE, 67 * PAGE));
    }

    #[test]
    fn any_flipped_bit_of_the_fixed_header_is_refused_and_named() {
        let f = sample();
        for at in 0..FIXED_LEN {
            for bit in 0..8 {
                let mut bytes: [u8; FIXED_LEN] = bytemuck::cast(f);
                bytes[at] ^= 1 << bit;
                let kind = check("test", &bytes, f.total_len, PAGE).unwrap_err().kind();
                let expected = match at {
                    0..8 => ErrorKind::Foreign,
                    8..12 => ErrorKind::VersionMismatch,
                    _ => ErrorKind::Corrupt,
                };
                assert_eq!(kind, expected, "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn a_short_file_says_which_sizes_disagree() {
        let f = sample();
        for len in 0..FIXED_LEN {
            let kind = check("test", &bytemuck::bytes_of(&f)[..len], len as u64, PAGE).unwrap_err().kind();
            assert_eq!(kind, if len < 8 { ErrorKind::Foreign } else { ErrorKind::Truncated });
        }
        let e = check("test", bytemuck::bytes_of(&f), f.total_len - 1, PAGE).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Truncated);
        let text = std::string::ToString::to_string(&e);
        assert!(
            text.contains(&std::format!("{}", f.total_len - 1))
                && text.contains(&std::format!("{}", f.total_len)),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_incompatible_feature_is_a_version_mismatch_and_a_compatible_one_is_ignored() {
        let f = sample();
        let len = f.total_len;
        assert_eq!(
            verdict(&signed(Fixed { features_incompat: 1 << 40, ..f }), len),
            Err(ErrorKind::VersionMismatch)
        );
        let newer = signed(Fixed { features_compat: u64::MAX, ..f });
        assert_eq!(verdict(&newer, len), Ok(newer));
    }

    #[test]
    fn impossible_geometry_is_refused_even_under_a_right_checksum() {
        let f = sample();
        let bad = [
            Fixed { page_size: 65536, ..f },
            Fixed { page_size: 0, ..f },
            Fixed { max_members: 0, ..f },
            Fixed { max_members: 65, ..f },
            Fixed { max_members: u32::MAX, ..f },
            Fixed { max_objects: 0, ..f },
            Fixed { max_objects: 65, ..f },
            Fixed { max_objects: u32::MAX, ..f },
            Fixed { slots_off: 0, ..f },
            Fixed { slots_off: PAGE + 8, ..f },
            Fixed { slots_off: 2 * PAGE, ..f },
            Fixed { slots_off: !(PAGE - 1), ..f },
            Fixed { dir_off: f.dir_off + 8, ..f },
            Fixed { dir_off: f.dir_off - PAGE, ..f },
            Fixed { dir_off: !(PAGE - 1), ..f },
            Fixed { payload_off: f.payload_off + 64, ..f },
            Fixed { payload_off: f.payload_off - PAGE, ..f },
            Fixed { payload_off: !(PAGE - 1), ..f },
            Fixed { payload_len: 0, ..f },
            Fixed { payload_len: f.payload_len + PAGE, ..f },
            Fixed { payload_len: !(PAGE - 1), ..f },
            Fixed { total_len: f.total_len - PAGE, ..f },
            Fixed { total_len: u64::MAX, ..f },
        ];
        for f in bad.map(signed) {
            assert_eq!(verdict(&f, u64::MAX), Err(ErrorKind::Corrupt), "{f:?}");
        }
    }

    #[test]
    fn plans_outside_the_limits_are_refused_with_the_limits() {
        let plan_of = |size, members, objects| plan(&Plan::sample(size, members, objects));
        for bad in [
            plan_of(0, 64, 64),
            plan_of(usize::MAX, 64, 64),
            plan_of(4096, 0, 64),
            plan_of(4096, MAX_MEMBERS + 1, 64),
            plan_of(4096, 64, 0),
            plan_of(4096, 64, MAX_OBJECTS + 1),
        ] {
            assert_eq!(bad.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        let largest = plan_of((isize::MAX >> 1) as usize, MAX_MEMBERS, MAX_OBJECTS).unwrap();
        assert_eq!(verdict(&largest, largest.total_len), Ok(largest));
    }
}
