//! Whether a client's message is laid out as its tag says: for a reader that trusts what it is given.

use super::{
    read::{c_string, size, u16_be, u32_be},
    tag::FrontendTag,
};

/// Looks at a whole message. What is not read by anybody here is taken as it is. Source: manual, "Message Formats".
pub fn is_laid_out(tag: FrontendTag, body: &[u8]) -> bool {
    let rest = match tag {
        FrontendTag::Query => c_string(body).map(|(_, rest)| rest),
        FrontendTag::Parse => past_parse(body),
        FrontendTag::Bind => past_bind(body),
        FrontendTag::Describe | FrontendTag::Close => {
            let kind = body.first().filter(|kind| matches!(kind, b'S' | b'P'));
            kind.and_then(|_| c_string(body)).map(|(_, rest)| rest)
        }
        FrontendTag::Execute => c_string(body).and_then(|(_, rest)| u32_be(rest)).map(|(_, rest)| rest),
        FrontendTag::Sync | FrontendTag::Flush | FrontendTag::Terminate => Some(body),
        FrontendTag::FunctionCall
        | FrontendTag::CopyData
        | FrontendTag::CopyDone
        | FrontendTag::CopyFail
        | FrontendTag::Password
        | FrontendTag::Unknown(_) => return true,
    };
    rest.is_some_and(<[u8]>::is_empty)
}

/// A name, a text, and types of four bytes each.
fn past_parse(body: &[u8]) -> Option<&[u8]> {
    let (_, rest) = c_string(body)?;
    let (_, rest) = c_string(rest)?;
    past_list(rest, 4)
}

/// Two names, formats, values each with its length or NULL, formats.
fn past_bind(body: &[u8]) -> Option<&[u8]> {
    let (_, rest) = c_string(body)?;
    let (_, rest) = c_string(rest)?;
    let (count, mut rest) = u16_be(past_list(rest, 2)?)?;
    for _ in 0..count {
        let (length, after) = u32_be(rest)?;
        // A length of -1 is NULL, and no bytes follow.
        let length = if length == u32::MAX { 0 } else { size(length) };
        rest = after.get(length..)?;
    }
    past_list(rest, 2)
}

/// A count, and so many items of that many bytes.
fn past_list(body: &[u8], bytes: usize) -> Option<&[u8]> {
    let (count, rest) = u16_be(body)?;
    rest.get(usize::from(count).checked_mul(bytes)?..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frontend::Write;

    #[test]
    fn what_we_write_ourselves_is_laid_out_well_and_nothing_shorter_or_longer_is() {
        let mut out = Vec::new();
        Write(&mut out)
            .query("SELECT 1")
            .parse("s", "SELECT $1")
            .bind_text("p", "s", &["x", ""])
            .execute("p")
            .close_statement("s")
            .sync();
        let mut rest = out.as_slice();
        while let Some((tag, after)) = rest.split_first() {
            let (said, body) = u32_be(after).unwrap();
            let (body, behind) = body.split_at(size(said) - 4);
            let tag = FrontendTag::from_byte(*tag);
            assert!(is_laid_out(tag, body), "{tag:?}");
            for end in 0..body.len() {
                assert!(!is_laid_out(tag, &body[..end]), "{tag:?} cut at {end}");
            }
            assert!(!is_laid_out(tag, &[body, b"x"].concat()), "{tag:?}");
            rest = behind;
        }
        assert!(is_laid_out(FrontendTag::Bind, b"\0\0\0\0\0\x01\xff\xff\xff\xff\0\0"), "NULL");
        assert!(!is_laid_out(FrontendTag::Bind, b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"));
        assert!(!is_laid_out(FrontendTag::Describe, b"X\0"));
    }
}
