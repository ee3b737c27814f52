//! Where one message ends and the next begins. `Cut` says "whole", "head, then n bytes", or "more bytes
//! are needed to tell"; it holds nothing and allocates nothing.

use super::{
    error::WireError,
    read::{c_string, size, u32_be},
    tag::{BackendTag, FrontendTag},
};

/// A type byte and a length word.
pub const HEADER: usize = 5;
/// The server's limit for messages that carry no bulk. Source: `PQ_SMALL_MESSAGE_LIMIT`, `libpq/libpq.h`.
pub const SMALL_MESSAGE: u32 = 10_000;
/// The server's limit for the others. Source: `PQ_LARGE_MESSAGE_LIMIT` = `MaxAllocSize - 1`.
pub const LARGE_MESSAGE: u32 = 0x3fff_fffe;
/// How much of a Bind is waited for in order to read its portal's and its statement's name.
pub const BIND_PREFIX: usize = 1024;
/// How much is looked at of a Parse that is too long to be held: its statement's name.
pub const PARSE_PREFIX: usize = 1024;
/// How much of a FunctionCall is waited for: the oid, and the arguments of a large-object read.
pub const FUNCTION_CALL_PREFIX: usize = 128;
/// A backend message that must be seen whole is held up to this; a longer one is passed on by its head.
pub const BACKEND_HELD: usize = 8 * 1024;
/// Of an ErrorResponse that is longer, so much is looked at: severity and SQLSTATE stand in front.
pub const ERROR_PREFIX: usize = 256;

/// What the framer holds a client to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontendLimits {
    /// The longest Query or Parse message that is held whole, in bytes without its type byte.
    pub max_statement: u32,
}

/// The first message of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Cut<'a, Tag> {
    /// More bytes are needed before anything can be said.
    More,
    /// The whole message: `bytes` with its header, `body` without.
    Whole {
        /// Which message.
        tag: Tag,
        /// Header and body.
        bytes: &'a [u8],
        /// The body.
        body: &'a [u8],
    },
    /// A message that is not waited for. What is here of it is `prefix`; the whole takes `length` bytes.
    Head {
        /// Which message.
        tag: Tag,
        /// The part of the body that is here.
        prefix: &'a [u8],
        /// Header and body together, in bytes.
        length: usize,
    },
}

/// How much of a message is waited for.
#[derive(Clone, Copy)]
enum Want {
    /// All of it, whatever its length (which is bounded by the tag's limit already).
    Whole,
    /// All of it up to this many bytes of body; if it is longer, this many of them.
    UpTo(usize),
    /// All of it up to the first number of bytes; if it is longer, the second number of them.
    UpToOrPrefix(usize, usize),
}

/// Cuts the first message off what a client sent.
///
/// # Errors
/// An unknown type byte, or a length that the server itself would call fatal.
#[inline]
pub fn cut_frontend(buffer: &[u8], limits: FrontendLimits) -> Result<Cut<'_, FrontendTag>, WireError> {
    let Some((&byte, rest)) = buffer.split_first() else { return Ok(Cut::More) };
    let tag = FrontendTag::from_byte(byte);
    let (limit, want) = match tag {
        FrontendTag::Unknown(_) | FrontendTag::Password => {
            return Err(WireError::UnknownFrontendMessage(byte));
        }
        FrontendTag::Query => (LARGE_MESSAGE, Want::UpToOrPrefix(size(limits.max_statement), 0)),
        FrontendTag::Parse => (LARGE_MESSAGE, Want::UpToOrPrefix(size(limits.max_statement), PARSE_PREFIX)),
        FrontendTag::Bind => (LARGE_MESSAGE, Want::UpTo(BIND_PREFIX)),
        FrontendTag::FunctionCall => (LARGE_MESSAGE, Want::UpTo(FUNCTION_CALL_PREFIX)),
        FrontendTag::CopyData => (LARGE_MESSAGE, Want::UpTo(0)),
        FrontendTag::Close
        | FrontendTag::CopyDone
        | FrontendTag::CopyFail
        | FrontendTag::Describe
        | FrontendTag::Execute
        | FrontendTag::Flush
        | FrontendTag::Sync
        | FrontendTag::Terminate => (SMALL_MESSAGE, Want::Whole),
    };
    let Some((said, body)) = u32_be(rest) else { return Ok(Cut::More) };
    if !(4..=limit).contains(&said) {
        return Err(WireError::FrontendLength { tag, said, limit });
    }
    Ok(cut(tag, buffer, body, size(said), || want))
}

/// Whether rows are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// They are told by their head and pass as they come.
    Stream,
    /// A short one is to be seen whole: it may have to be read or rewritten.
    Held,
}

/// Cuts the first message off what the server sent. How its rows are waited for is asked of those only that are not
/// whole yet.
///
/// # Errors
/// A length word below 4.
#[expect(
    clippy::inline_always,
    reason = "a cut is taken apart where it was made: else it goes through memory"
)]
#[inline(always)]
pub fn cut_backend(buffer: &[u8], rows: impl FnOnce() -> Rows) -> Result<Cut<'_, BackendTag>, WireError> {
    let Some((&byte, rest)) = buffer.split_first() else { return Ok(Cut::More) };
    let Some((said, body)) = u32_be(rest) else { return Ok(Cut::More) };
    if said < 4 {
        return Err(WireError::BackendLength { tag: byte, said });
    }
    let tag = BackendTag::from_byte(byte);
    Ok(cut(tag, buffer, body, size(said), || backend_want(tag, rows())))
}

/// Apart, as hardly any message asks for it.
#[inline(never)]
fn backend_want(tag: BackendTag, rows: Rows) -> Want {
    match tag {
        BackendTag::DataRow if rows == Rows::Held => Want::UpToOrPrefix(BACKEND_HELD, 0),
        BackendTag::DataRow
        | BackendTag::CopyData
        | BackendTag::RowDescription
        | BackendTag::ParameterDescription
        | BackendTag::NoticeResponse
        | BackendTag::NotificationResponse
        | BackendTag::FunctionCallResponse
        | BackendTag::NegotiateProtocolVersion
        | BackendTag::Unknown(_) => Want::UpTo(0),
        BackendTag::ErrorResponse => Want::UpToOrPrefix(BACKEND_HELD, ERROR_PREFIX),
        BackendTag::Authentication
        | BackendTag::BackendKeyData
        | BackendTag::BindComplete
        | BackendTag::CloseComplete
        | BackendTag::CommandComplete
        | BackendTag::CopyBothResponse
        | BackendTag::CopyDone
        | BackendTag::CopyInResponse
        | BackendTag::CopyOutResponse
        | BackendTag::EmptyQueryResponse
        | BackendTag::NoData
        | BackendTag::ParameterStatus
        | BackendTag::ParseComplete
        | BackendTag::PortalSuspended
        | BackendTag::ReadyForQuery => Want::UpToOrPrefix(BACKEND_HELD, 0),
    }
}

/// `said` counts the length word and the body, as the protocol does. Nearly every message is whole: `want` is asked
/// for of the others only.
#[inline]
fn cut<'a, Tag>(
    tag: Tag,
    buffer: &'a [u8],
    body: &'a [u8],
    said: usize,
    want: impl FnOnce() -> Want,
) -> Cut<'a, Tag> {
    let length = said.saturating_add(1);
    let body_length = said.saturating_sub(4);
    if let (Some(bytes), Some(body)) = (buffer.get(..length), body.get(..body_length)) {
        return Cut::Whole { tag, bytes, body };
    }
    let enough = match want() {
        Want::UpTo(bytes) => bytes,
        Want::UpToOrPrefix(held, prefix) if body_length > held => prefix,
        Want::Whole | Want::UpToOrPrefix(..) => return Cut::More,
    };
    if body.len() < enough.min(body_length) {
        return Cut::More;
    }
    Cut::Head { tag, prefix: body, length }
}

/// The names at the front of a Bind: portal, then statement. `None` if they do not end within `prefix`.
pub fn bind_names(prefix: &[u8]) -> Option<(&[u8], &[u8])> {
    let (portal, rest) = c_string(prefix)?;
    let (statement, _) = c_string(rest)?;
    Some((portal, statement))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frontend::Write;
    use proptest::prelude::*;

    const LIMITS: FrontendLimits = FrontendLimits { max_statement: 64 };

    /// What a reader sees who is handed the stream in two pieces, forwarding as it goes: tags and lengths.
    fn seen(stream: &[u8], cut_at: usize) -> Vec<(FrontendTag, usize)> {
        let (mut seen, mut held, mut passing) = (Vec::new(), Vec::new(), 0_usize);
        for piece in [&stream[..cut_at], &stream[cut_at..]] {
            held.extend_from_slice(piece);
            loop {
                let pass = passing.min(held.len());
                held.drain(..pass);
                passing -= pass;
                match cut_frontend(&held, LIMITS).unwrap() {
                    Cut::More => break,
                    Cut::Whole { tag, bytes, body } => {
                        assert_eq!(bytes.len(), body.len() + HEADER);
                        let length = bytes.len();
                        seen.push((tag, length));
                        held.drain(..length);
                    }
                    Cut::Head { tag, length, .. } => {
                        seen.push((tag, length));
                        passing = length;
                    }
                }
            }
        }
        assert_eq!((held.len(), passing), (0, 0));
        seen
    }

    #[test]
    fn a_stream_cut_anywhere_holds_the_same_messages() {
        let mut stream = Vec::new();
        let long = format!("SELECT '{}'", "x".repeat(3000));
        Write(&mut stream)
            .query("SELECT 1")
            .parse("s", &long)
            .bind("", "s")
            .execute("")
            .sync()
            .function_call(7);
        framed(&mut stream, b'd', 5000);
        framed(&mut stream, b'B', 5000);
        Write(&mut stream).query(&long).close_statement("s").sync();
        let whole = seen(&stream, 0);
        assert_eq!(whole.len(), 11);
        for at in 0..=stream.len() {
            assert_eq!(seen(&stream, at), whole, "cut at {at}");
        }
    }

    fn framed(out: &mut Vec<u8>, tag: u8, body: usize) {
        super::super::frontend::framed(out, tag, |out| out.resize(out.len() + body, 0));
    }

    #[test]
    fn a_length_that_the_server_would_call_fatal_is_an_error_here() {
        for (tag, limit) in [(b'Q', LARGE_MESSAGE), (b'E', SMALL_MESSAGE), (b'S', SMALL_MESSAGE)] {
            for said in [0, 3, limit + 1, u32::MAX] {
                let mut bytes = vec![tag];
                bytes.extend_from_slice(&said.to_be_bytes());
                let fault = cut_frontend(&bytes, LIMITS).unwrap_err();
                assert!(matches!(fault, WireError::FrontendLength { said: s, .. } if s == said), "{said}");
            }
        }
        assert_eq!(cut_frontend(b"@", LIMITS), Err(WireError::UnknownFrontendMessage(b'@')));
        assert!(matches!(
            cut_backend(b"D\0\0\0\x03", || Rows::Stream),
            Err(WireError::BackendLength { said: 3, .. })
        ));
    }

    #[test]
    fn a_statement_at_the_limit_is_held_and_one_beyond_it_is_not() {
        let body = usize::try_from(LIMITS.max_statement).unwrap();
        for (length, held) in [(body, true), (body + 1, false)] {
            let mut bytes = Vec::new();
            framed(&mut bytes, b'Q', length);
            let cut = cut_frontend(&bytes[..bytes.len() - 1], LIMITS).unwrap();
            assert_eq!(matches!(cut, Cut::More), held, "{length}");
        }
    }

    #[test]
    fn a_bind_is_waited_for_only_until_its_names_could_be_read() {
        let mut bytes = Vec::new();
        framed(&mut bytes, b'B', 100_000);
        assert_eq!(cut_frontend(&bytes[..HEADER + BIND_PREFIX - 1], LIMITS).unwrap(), Cut::More);
        let Cut::Head { prefix, length, .. } = cut_frontend(&bytes[..HEADER + BIND_PREFIX], LIMITS).unwrap()
        else {
            panic!("a head was expected")
        };
        assert_eq!((prefix.len(), length), (BIND_PREFIX, bytes.len()));
        assert_eq!(bind_names(b"p\0s\0rest"), Some((&b"p"[..], &b"s"[..])));
        assert_eq!(bind_names(b"p\0s"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_whatever_make_the_framer_panic_or_lie(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(Cut::Whole { bytes: frame, body, .. }) = cut_frontend(&bytes, LIMITS) {
                prop_assert!(frame.len() <= bytes.len() && body.len() + HEADER == frame.len());
            }
            if let Ok(Cut::Head { length, .. }) = cut_backend(&bytes, || Rows::Stream) {
                prop_assert!(length > bytes.len());
            }
        }
    }
}
