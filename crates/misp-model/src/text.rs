//! The strings of a JSON tree.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// A string, borrowed where it holds no escape.
#[derive(Clone)]
pub struct Text<'a>(Form<'a>);

#[derive(Clone)]
enum Form<'a> {
    /// With its quotes, as it stands in the JSON: nothing in it has to be escaped.
    Quoted(&'a str),
    Other(Cow<'a, str>),
}

impl<'a> Text<'a> {
    /// A string as it stands, with its quotes: of printable ASCII between them, without escapes.
    pub(crate) fn quoted_ascii(text: &'a str) -> Self {
        Self(Form::Quoted(text))
    }

    /// The string as it stands in the JSON, with its quotes, if it is of nothing but printable ASCII
    /// that no JSON escapes: it can be copied as it is.
    pub fn quoted(&self) -> Option<&'a str> {
        match self.0 {
            Form::Quoted(text) => Some(text),
            Form::Other(_) => None,
        }
    }

    /// The text, if it is one that [`Self::quoted`] gives.
    pub fn plain(&self) -> Option<&'a str> {
        self.quoted().map(within)
    }

    /// The digits of an integer that is written as JSON writes it: no sign, no zeros before it, less
    /// than 64 bits.
    pub fn integer(&self) -> Option<&'a str> {
        let digits = self.plain()?;
        let plain = matches!(digits.len(), 1..=18) && digits.bytes().all(|b| b.is_ascii_digit());
        (plain && (digits.len() == 1 || !digits.starts_with('0'))).then_some(digits)
    }

    /// The text without quotes and escapes, borrowed from the JSON where it can be.
    pub(crate) fn into_cow(self) -> Cow<'a, str> {
        match self.0 {
            Form::Quoted(text) => Cow::Borrowed(within(text)),
            Form::Other(text) => text,
        }
    }
}

fn within(quoted: &str) -> &str {
    quoted
        .get(1..quoted.len().saturating_sub(1))
        .unwrap_or_default()
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self(Form::Other(text))
    }
}

impl Deref for Text<'_> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        match &self.0 {
            Form::Quoted(text) => within(text),
            Form::Other(text) => text,
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
