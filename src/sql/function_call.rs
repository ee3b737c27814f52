//! The protocol's `FunctionCall`: it runs any function by its object id, past the grammar, and read-only mode looks only
//! at what the function itself runs. So all are refused, but for reading large objects, which libpq does this way.
use super::{
    calls::INV_WRITE,
    class::{Classification, StatementClass, Why},
    effects::Effects,
    judged::Judged,
};

/// One argument of a `FunctionCall`.
#[derive(Clone, Copy, Debug)]
pub struct FunctionArgument<'a> {
    /// Whether it comes in the binary format.
    pub binary: bool,
    /// Its bytes; none is NULL.
    pub value: Option<&'a [u8]>,
}

/// `lo_open(oid, integer)`.
const LO_OPEN: u32 = 952;

/// The other functions that read large objects: `lo_close`, `loread`, `lo_lseek`, `lo_tell`, `lo_lseek64`, `lo_tell64`
/// and both `lo_get` (`pg_proc.dat`; object ids of `pg_catalog` never change).
const READS: [u32; 8] = [953, 954, 956, 958, 3170, 3171, 3458, 3459];

/// What the server calls those that clients use to write.
const WRITERS: &[(u32, &str)] = &[
    (715, "lo_create()"),
    (764, "lo_import()"),
    (765, "lo_export()"),
    (767, "lo_import()"),
    (LO_OPEN, "lo_open(INV_WRITE)"),
    (955, "lowrite()"),
    (957, "lo_creat()"),
    (964, "lo_unlink()"),
    (1004, "lo_truncate()"),
    (1574, "nextval()"),
    (1576, "setval()"),
    (1765, "setval()"),
    (3172, "lo_truncate64()"),
    (3457, "lo_from_bytea()"),
    (3460, "lo_put()"),
];

/// Classifies a `FunctionCall` (fastpath.c).
pub fn classify_function_call<'a>(
    oid: u32,
    arguments: impl Iterator<Item = FunctionArgument<'a>>,
) -> Classification {
    if READS.contains(&oid) || (oid == LO_OPEN && opens_to_read(arguments)) {
        return Judged::pass(StatementClass::Read, "FunctionCall", Effects::NONE).classification;
    }
    let command = WRITERS.iter().find(|(writer, _)| *writer == oid).map_or("FunctionCall", |(_, name)| *name);
    let why =
        if oid == LO_OPEN { Why::LargeObjectMode } else { Why::Command("calls a function by its number") };
    Judged::refuse(StatementClass::Procedural, command, why).classification
}

/// Whether the second of two arguments is a mode without `INV_WRITE`.
fn opens_to_read<'a>(mut arguments: impl Iterator<Item = FunctionArgument<'a>>) -> bool {
    let (Some(_), Some(mode), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return false;
    };
    let bits = match (mode.binary, mode.value) {
        (true, Some([a, b, c, d])) => Some(u64::from(u32::from_be_bytes([*a, *b, *c, *d]))),
        (false, Some(digits)) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok())
        }
        _ => None,
    };
    bits.is_some_and(|bits| bits & INV_WRITE == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::class::Verdict;

    fn verdict(oid: u32, arguments: &[(bool, Option<&[u8]>)]) -> Verdict {
        let arguments =
            arguments.iter().map(|(binary, value)| FunctionArgument { binary: *binary, value: *value });
        classify_function_call(oid, arguments).verdict
    }

    #[test]
    fn reading_large_objects_passes() {
        for oid in READS {
            assert_eq!(verdict(oid, &[]), Verdict::Pass);
        }
        let object: (bool, Option<&[u8]>) = (true, Some(b"\0\0\x10\x92"));
        assert_eq!(verdict(LO_OPEN, &[object, (true, Some(b"\0\x04\0\0"))]), Verdict::Pass);
        assert_eq!(verdict(LO_OPEN, &[object, (false, Some(b"262144"))]), Verdict::Pass);
    }

    #[test]
    fn anything_else_is_refused() {
        let object: (bool, Option<&[u8]>) = (false, Some(b"4242"));
        for mode in
            [&b"131072"[..], b"393216", b" 262144", b"0x40000", b"-1", b"", b"99999999999999999999999"]
        {
            assert_eq!(verdict(LO_OPEN, &[object, (false, Some(mode))]), Verdict::Refuse, "{mode:?}");
        }
        for mode in [&b"\0\x02\0\0"[..], b"\0\x06\0\0", b"\x04\0\0", b"", b"\xff\xff\xff\xff"] {
            assert_eq!(verdict(LO_OPEN, &[object, (true, Some(mode))]), Verdict::Refuse, "{mode:?}");
        }
        let reads: (bool, Option<&[u8]>) = (false, Some(b"262144"));
        assert_eq!(verdict(LO_OPEN, &[object, (false, None)]), Verdict::Refuse);
        assert_eq!(verdict(LO_OPEN, &[reads]), Verdict::Refuse);
        assert_eq!(verdict(LO_OPEN, &[object, reads, reads]), Verdict::Refuse);
        for oid in [0, 1, 955, 957, 964, 1574, 2078, u32::MAX] {
            assert_eq!(verdict(oid, &[]), Verdict::Refuse);
        }
        assert_eq!(classify_function_call(1574, [].into_iter()).command.as_str(), "nextval()");
    }
}
