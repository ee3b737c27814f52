//! The client's messages: read in place, and written where we speak to the server ourselves.

use super::{
    error::WireError,
    read::{c_string, size, u16_be, u32_be},
    tag::FrontendTag,
};

/// What Describe and Close point at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// A prepared statement; the empty name is the unnamed one.
    Statement(&'a [u8]),
    /// A portal; the empty name is the unnamed one.
    Portal(&'a [u8]),
}

/// The text of a Query, and whether something follows its NUL (the server rejects such a message).
pub fn query_text(body: &[u8]) -> Result<&[u8], WireError> {
    match c_string(body) {
        Some((text, [])) => Ok(text),
        _ => Err(WireError::Truncated { tag: FrontendTag::Query }),
    }
}

/// The name and the text of a Parse.
pub fn parse_name_and_text(body: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let fault = WireError::Truncated { tag: FrontendTag::Parse };
    let Some((name, rest)) = c_string(body) else { return Err(fault) };
    let Some((text, _)) = c_string(rest) else { return Err(fault) };
    Ok((name, text))
}

/// The name of a Parse whose text is not all here. `None` if the name does not end within `prefix`.
pub fn parse_name(prefix: &[u8]) -> Option<&[u8]> {
    c_string(prefix).map(|(name, _)| name)
}

/// What a Describe or Close names.
pub fn named(tag: FrontendTag, body: &[u8]) -> Result<Named<'_>, WireError> {
    let fault = WireError::Truncated { tag };
    let Some((&kind, rest)) = body.split_first() else { return Err(fault) };
    let Some((name, _)) = c_string(rest) else { return Err(fault) };
    match kind {
        b'S' => Ok(Named::Statement(name)),
        b'P' => Ok(Named::Portal(name)),
        _ => Err(fault),
    }
}

/// The portal that an Execute runs.
pub fn execute_portal(body: &[u8]) -> Result<&[u8], WireError> {
    c_string(body).map(|(name, _)| name).ok_or(WireError::Truncated { tag: FrontendTag::Execute })
}

/// The function that a FunctionCall names by its oid, and the rest of the message.
#[derive(Debug, Clone, Copy)]
pub struct FunctionCall<'a> {
    /// `pg_proc.oid`.
    pub oid: u32,
    formats: &'a [u8],
    arguments: &'a [u8],
    count: u16,
}

impl<'a> FunctionCall<'a> {
    /// Reads the front of a FunctionCall's body; what lies beyond `prefix` is left unread.
    pub fn read(prefix: &'a [u8]) -> Result<Self, WireError> {
        Self::decode(prefix).ok_or(WireError::Truncated { tag: FrontendTag::FunctionCall })
    }

    fn decode(prefix: &'a [u8]) -> Option<Self> {
        let (oid, rest) = u32_be(prefix)?;
        let (formats_count, rest) = u16_be(rest)?;
        let (formats, rest) = rest.split_at_checked(usize::from(formats_count).checked_mul(2)?)?;
        let (count, arguments) = u16_be(rest)?;
        Some(Self { oid, formats, arguments, count })
    }

    /// The arguments that lie whole within the prefix: whether in binary format, and the value unless NULL.
    pub fn arguments(&self) -> impl Iterator<Item = (bool, Option<&'a [u8]>)> {
        let (formats, mut rest) = (self.formats, self.arguments);
        (0..usize::from(self.count)).map_while(move |index| {
            let (length, after) = u32_be(rest)?;
            let value = if length == u32::MAX {
                rest = after;
                None
            } else {
                let (value, after) = after.split_at_checked(size(length))?;
                rest = after;
                Some(value)
            };
            Some((is_binary(formats, index), value))
        })
    }
}

/// No format code: all are text. One: it holds for all. Else one each.
fn is_binary(formats: &[u8], index: usize) -> bool {
    let mut codes = formats.chunks_exact(2).map(|code| code == [0, 1]);
    if formats.len() == 2 { codes.next() } else { codes.nth(index) }.unwrap_or(false)
}

/// Writes messages to the server behind what `out` holds.
#[derive(Debug)]
pub struct Write<'a>(pub &'a mut Vec<u8>);

impl Write<'_> {
    /// A simple Query.
    pub fn query(&mut self, text: &str) -> &mut Self {
        self.message(b'Q', |out| c_str(out, text.as_bytes()))
    }

    /// Parse without parameter types.
    pub fn parse(&mut self, name: &str, text: &str) -> &mut Self {
        self.message(b'P', |out| {
            c_str(out, name.as_bytes());
            c_str(out, text.as_bytes());
            out.extend_from_slice(&[0, 0]);
        })
    }

    /// Bind without parameters, results as text.
    pub fn bind(&mut self, portal: &str, statement: &str) -> &mut Self {
        self.message(b'B', |out| {
            c_str(out, portal.as_bytes());
            c_str(out, statement.as_bytes());
            out.extend_from_slice(&[0; 6]);
        })
    }

    /// Bind with parameters as text, results as text.
    pub fn bind_text(&mut self, portal: &str, statement: &str, parameters: &[&str]) -> &mut Self {
        self.message(b'B', |out| {
            c_str(out, portal.as_bytes());
            c_str(out, statement.as_bytes());
            out.extend_from_slice(&[0, 0]);
            out.extend_from_slice(&u16::try_from(parameters.len()).unwrap_or(0).to_be_bytes());
            for parameter in parameters {
                out.extend_from_slice(&u32::try_from(parameter.len()).unwrap_or(0).to_be_bytes());
                out.extend_from_slice(parameter.as_bytes());
            }
            out.extend_from_slice(&[0, 0]);
        })
    }

    /// Execute without a row limit.
    pub fn execute(&mut self, portal: &str) -> &mut Self {
        self.message(b'E', |out| {
            c_str(out, portal.as_bytes());
            out.extend_from_slice(&[0; 4]);
        })
    }

    /// Close of a portal.
    pub fn close_portal(&mut self, name: &str) -> &mut Self {
        self.message(b'C', |out| {
            out.push(b'P');
            c_str(out, name.as_bytes());
        })
    }

    /// Close of a prepared statement.
    pub fn close_statement(&mut self, name: &str) -> &mut Self {
        self.message(b'C', |out| {
            out.push(b'S');
            c_str(out, name.as_bytes());
        })
    }

    /// FunctionCall of a function without arguments, result as text.
    pub fn function_call(&mut self, oid: u32) -> &mut Self {
        self.message(b'F', |out| {
            out.extend_from_slice(&oid.to_be_bytes());
            out.extend_from_slice(&[0; 6]);
        })
    }

    /// Sync.
    pub fn sync(&mut self) -> &mut Self {
        self.message(b'S', |_| {})
    }

    /// Terminate.
    pub fn terminate(&mut self) -> &mut Self {
        self.message(b'X', |_| {})
    }

    fn message(&mut self, tag: u8, body: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        framed(self.0, tag, body);
        self
    }
}

/// Appends one message; the length word is set when the body is known.
pub(super) fn framed(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = u32::try_from(out.len().saturating_sub(at)).unwrap_or(u32::MAX);
    if let Some(word) = out.get_mut(at..).and_then(|o| o.first_chunk_mut::<4>()) {
        *word = length.to_be_bytes();
    }
}

/// A password or SASL message, which share a type byte.
pub fn password_message(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    framed(&mut out, b'p', |out| out.extend(parts.concat()));
    out
}

/// Appends a NUL-terminated string; a NUL inside would end it early, so it is cut there.
pub(super) fn c_str(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(text.iter().take_while(|b| **b != 0));
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_call_shows_its_arguments_as_far_as_they_are_here() {
        let mut body = vec![0, 0, 3, 0xb8, 0, 1, 0, 1, 0, 3];
        body.extend_from_slice(&[0, 0, 0, 2, 7, 8, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9, 1]);
        let call = FunctionCall::read(&body).unwrap();
        assert_eq!(call.oid, 952);
        let seen: Vec<_> = call.arguments().collect();
        assert_eq!(seen, [(true, Some(&[7, 8][..])), (true, None)], "the third is cut off and not invented");
    }

    #[test]
    fn what_we_write_is_framed_by_its_true_length() {
        let mut out = Vec::new();
        Write(&mut out).parse("s", "SELECT 1").sync();
        assert_eq!(out, b"P\0\0\0\x11s\0SELECT 1\0\0\0S\0\0\0\x04");
    }

    #[test]
    fn a_query_with_bytes_behind_its_nul_is_no_query() {
        assert_eq!(query_text(b"SELECT 1\0").unwrap(), b"SELECT 1");
        assert!(query_text(b"SELECT 1\0; DROP TABLE t\0").is_err());
        assert!(query_text(b"SELECT 1").is_err());
    }
}
