//! The grammar of JSON: what may follow what.

use crate::token::{self, End};

pub(crate) const TOO_DEEP: &str = "it is nested too deeply";

pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    Value,
    /// A value or `]`.
    FirstValue,
    Key,
    /// A key or `}`.
    FirstKey,
    Colon,
    /// `,` or the end of the container.
    Next,
    /// The rest of a string that is a value.
    InString,
    /// The rest of a string that is a key.
    InKey,
}

/// Goes on in a value until it ends or `bytes` do.
pub(crate) fn walk(
    bytes: &[u8],
    at_end: bool,
    expect: &mut Expect,
    open: &mut Vec<bool>,
    room: usize,
) -> End {
    let mut at = 0;
    loop {
        if matches!(*expect, Expect::InString | Expect::InKey) {
            match token::string(bytes, at) {
                End::At(end) => at = end,
                other => return other,
            }
            *expect = match *expect {
                Expect::InKey => Expect::Colon,
                _ if open.is_empty() => return End::At(at),
                _ => Expect::Next,
            };
        }
        let Some(&byte) = bytes.get(at) else {
            return End::More(at);
        };
        if is_space(byte) {
            at += 1;
            continue;
        }
        match (*expect, byte) {
            (Expect::Key | Expect::FirstKey, b'"') => {
                at += 1;
                *expect = Expect::InKey;
            }
            (Expect::Colon, b':') => {
                at += 1;
                *expect = Expect::Value;
            }
            (Expect::Next, b',') => {
                at += 1;
                *expect = match open.last() {
                    Some(true) => Expect::Key,
                    _ => Expect::Value,
                };
            }
            (Expect::Value | Expect::FirstValue, b'"') => {
                at += 1;
                *expect = Expect::InString;
            }
            (Expect::Value | Expect::FirstValue, b'{' | b'[') => {
                if open.len() >= room {
                    return End::Bad(at, TOO_DEEP);
                }
                open.push(byte == b'{');
                at += 1;
                *expect = if byte == b'{' {
                    Expect::FirstKey
                } else {
                    Expect::FirstValue
                };
            }
            (Expect::FirstKey, b'}') | (Expect::FirstValue, b']') => {
                at += 1;
                open.pop();
                if open.is_empty() {
                    return End::At(at);
                }
                *expect = Expect::Next;
            }
            (Expect::Next, b'}' | b']') => {
                if open.pop() != Some(byte == b'}') {
                    return End::Bad(at, "the wrong bracket");
                }
                at += 1;
                if open.is_empty() {
                    return End::At(at);
                }
            }
            (Expect::Value | Expect::FirstValue, _) => {
                let end = match byte {
                    b'-' | b'0'..=b'9' => token::number(bytes, at, at_end),
                    _ => token::literal(bytes, at),
                };
                match end {
                    End::At(end) => at = end,
                    other => return other,
                }
                if open.is_empty() {
                    return End::At(at);
                }
                *expect = Expect::Next;
            }
            (Expect::Key | Expect::FirstKey, _) => return End::Bad(at, "expected a key"),
            (Expect::Colon, _) => return End::Bad(at, "expected `:`"),
            _ => return End::Bad(at, "expected `,` or the end of a list or object"),
        }
    }
}
