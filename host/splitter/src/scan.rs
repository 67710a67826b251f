//! Walks over JSON without building anything: where a value starts, where it ends,
//! and that everything between is well-formed.

use memchr::memchr2;

use crate::record::SplitError;
use crate::spool::Body;

/// How much of a spooled body is looked at once, bytes.
const WINDOW: usize = 256 << 10;

/// A short string that matters (a key, an id) is not longer, bytes. A longer one is
/// cut: it is no key that anybody knows.
const SHORT: usize = 256;

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    Text,
    Number,
    Literal,
}

/// A place in a body.
#[derive(Debug)]
pub(crate) struct Scanner<'b> {
    body: &'b Body,
    /// The bytes from `base` on; the whole body when it is in memory.
    window: Window<'b>,
    base: u64,
    /// The place inside the window.
    at: usize,
    depth: u32,
    value_start: u64,
}

#[derive(Debug)]
enum Window<'b> {
    Whole(&'b [u8]),
    Part(Vec<u8>),
}

impl Window<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Part(bytes) => bytes,
        }
    }
}

type Result<T> = std::result::Result<T, SplitError>;

impl<'b> Scanner<'b> {
    /// At a place of a body. `depth` is how deep a value may nest.
    pub(crate) fn new(body: &'b Body, at: u64, depth: u32) -> Self {
        let (window, base, at) = match body.memory() {
            Some(bytes) => (
                Window::Whole(bytes),
                0,
                usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len()),
            ),
            None => (Window::Part(Vec::new()), at, 0),
        };
        let position = base + at as u64;
        Self {
            body,
            window,
            base,
            at,
            depth,
            value_start: position,
        }
    }

    /// Where it is, bytes from the start of the body.
    pub(crate) fn position(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Goes to another place; what is in the window is not read again.
    pub(crate) fn seek(&mut self, to: u64) {
        let ahead = to
            .checked_sub(self.base)
            .and_then(|ahead| usize::try_from(ahead).ok())
            .filter(|ahead| *ahead <= self.window.bytes().len());
        match (ahead, &mut self.window) {
            (Some(ahead), _) => self.at = ahead,
            (None, Window::Whole(bytes)) => self.at = bytes.len(),
            (None, Window::Part(bytes)) => {
                bytes.clear();
                self.base = to;
                self.at = 0;
            }
        }
    }

    pub(crate) fn malformed(&self, what: &'static str) -> SplitError {
        let offset = self.position();
        SplitError::Malformed {
            offset,
            what,
            skipped: self.value_start..offset.max(self.value_start),
        }
    }

    /// The bytes ahead, at least one unless the body ends.
    fn ahead(&mut self) -> Result<&[u8]> {
        if self.at >= self.window.bytes().len()
            && let Window::Part(bytes) = &mut self.window
        {
            self.base += bytes.len() as u64;
            self.at = 0;
            bytes.resize(WINDOW, 0);
            let read = self.body.read_at(self.base, bytes)?;
            bytes.truncate(read);
        }
        Ok(self.window.bytes().get(self.at..).unwrap_or_default())
    }

    fn byte(&mut self) -> Result<Option<u8>> {
        let at = self.at;
        if let Some(byte) = self.window.bytes().get(at) {
            return Ok(Some(*byte));
        }
        Ok(self.ahead()?.first().copied())
    }

    /// The next byte that is not white space, not taken.
    pub(crate) fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            match self.byte()? {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return Ok(other),
            }
        }
    }

    /// Takes the next byte if it is this one.
    pub(crate) fn take(&mut self, wanted: u8) -> Result<bool> {
        let found = self.peek()? == Some(wanted);
        if found {
            self.at += 1;
        }
        Ok(found)
    }

    fn expect(&mut self, wanted: u8, what: &'static str) -> Result<()> {
        if self.take(wanted)? {
            Ok(())
        } else {
            Err(self.malformed(what))
        }
    }

    /// What the value ahead is.
    pub(crate) fn kind(&mut self) -> Result<Kind> {
        match self.peek()? {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f' | b'n') => Ok(Kind::Literal),
            Some(_) => Err(self.malformed("a value expected")),
            None => Err(self.malformed("a value expected, the end found")),
        }
    }

    /// A new value starts here: errors name what was skipped from here on.
    pub(crate) fn mark(&mut self) {
        self.value_start = self.position();
    }

    /// Goes to the next element of an array, after `[` or an element; `false` after `]`.
    pub(crate) fn next_element(&mut self, first: bool) -> Result<bool> {
        if self.take(b']')? {
            return Ok(false);
        }
        if !first {
            self.expect(b',', "`,` or `]` expected")?;
        }
        Ok(true)
    }

    /// Goes to the value of the next member of an object, after `{` or a member;
    /// `None` after `}`. The key comes with the place where it starts.
    pub(crate) fn next_member(&mut self, first: bool) -> Result<Option<(String, u64)>> {
        if self.take(b'}')? {
            return Ok(None);
        }
        if !first {
            self.expect(b',', "`,` or `}` expected")?;
        }
        if self.peek()? != Some(b'"') {
            return Err(self.malformed("a key expected"));
        }
        let start = self.position();
        let key = self.short_text()?;
        self.expect(b':', "`:` expected")?;
        Ok(Some((key, start)))
    }

    /// Takes an opening bracket, one level deeper.
    pub(crate) fn open(&mut self, bracket: u8) -> Result<()> {
        self.expect(bracket, "a bracket expected")?;
        self.depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| self.malformed("nested too deep"))?;
        Ok(())
    }

    /// One level up again, after the closing bracket.
    pub(crate) fn close(&mut self) {
        self.depth += 1;
    }

    /// Reads a string, unescaped, at most [`SHORT`] bytes of it.
    pub(crate) fn short_text(&mut self) -> Result<String> {
        let mut raw = Vec::new();
        self.string(Some(&mut raw))?;
        if !raw.contains(&b'\\') {
            return Ok(String::from_utf8_lossy(&raw).into_owned());
        }
        Ok(unescape(&raw))
    }

    /// A number or a short string as text; other values are passed over.
    pub(crate) fn scalar(&mut self) -> Result<Option<String>> {
        match self.kind()? {
            Kind::Text => self.short_text().map(Some),
            Kind::Number => {
                let mut text = String::new();
                self.number(Some(&mut text))?;
                Ok(Some(text))
            }
            Kind::Object | Kind::Array | Kind::Literal => {
                self.skip()?;
                Ok(None)
            }
        }
    }

    /// Passes over a string, keeping its start.
    fn string(&mut self, mut keep: Option<&mut Vec<u8>>) -> Result<()> {
        self.expect(b'"', "a string expected")?;
        loop {
            let ahead = self.ahead()?;
            if ahead.is_empty() {
                return Err(self.malformed("the end found inside a string"));
            }
            let stop = memchr2(b'"', b'\\', ahead);
            let plain = ahead.get(..stop.unwrap_or(ahead.len())).unwrap_or_default();
            let length = plain.len();
            if let Some(keep) = keep.as_deref_mut() {
                let room = SHORT.saturating_sub(keep.len());
                keep.extend_from_slice(plain.get(..length.min(room)).unwrap_or_default());
            }
            let found = stop.and_then(|stop| ahead.get(stop)).copied();
            self.at += length;
            match found {
                None => {}
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => {
                    self.at += 1;
                    let Some(escaped) = self.byte()? else {
                        return Err(self.malformed("the end found inside a string"));
                    };
                    if !matches!(
                        escaped,
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u'
                    ) {
                        return Err(self.malformed("an escape expected"));
                    }
                    self.at += 1;
                    if let Some(keep) = keep.as_deref_mut()
                        && keep.len() < SHORT
                    {
                        keep.extend_from_slice(&[b'\\', escaped]);
                    }
                }
            }
        }
    }

    fn digits(&mut self, keep: &mut Option<&mut String>) -> Result<()> {
        let mut any = false;
        while let Some(digit @ b'0'..=b'9') = self.byte()? {
            self.keep(digit, keep);
            any = true;
        }
        if any {
            Ok(())
        } else {
            Err(self.malformed("a digit expected"))
        }
    }

    fn keep(&mut self, byte: u8, keep: &mut Option<&mut String>) {
        self.at += 1;
        if let Some(keep) = keep {
            keep.push(char::from(byte));
        }
    }

    fn number(&mut self, mut keep: Option<&mut String>) -> Result<()> {
        if let Some(sign @ b'-') = self.byte()? {
            self.keep(sign, &mut keep);
        }
        match self.byte()? {
            Some(zero @ b'0') => self.keep(zero, &mut keep),
            _ => self.digits(&mut keep)?,
        }
        if let Some(point @ b'.') = self.byte()? {
            self.keep(point, &mut keep);
            self.digits(&mut keep)?;
        }
        if let Some(exponent @ (b'e' | b'E')) = self.byte()? {
            self.keep(exponent, &mut keep);
            if let Some(sign @ (b'+' | b'-')) = self.byte()? {
                self.keep(sign, &mut keep);
            }
            self.digits(&mut keep)?;
        }
        Ok(())
    }

    fn literal(&mut self) -> Result<()> {
        let word: &[u8] = match self.byte()? {
            Some(b't') => b"true",
            Some(b'f') => b"false",
            _ => b"null",
        };
        for wanted in word {
            if self.byte()? != Some(*wanted) {
                return Err(self.malformed("`true`, `false` or `null` expected"));
            }
            self.at += 1;
        }
        Ok(())
    }

    fn atom(&mut self, kind: Kind) -> Result<()> {
        match kind {
            Kind::Text => self.string(None),
            Kind::Number => self.number(None),
            Kind::Literal | Kind::Object | Kind::Array => self.literal(),
        }
    }

    /// Passes over the value ahead, whatever it is, checking every bracket,
    /// separator and atom in it. No recursion: the nesting is a bit a level.
    pub(crate) fn skip(&mut self) -> Result<()> {
        let mut objects: u128 = 0;
        let mut level: u32 = 0;
        loop {
            // A value.
            let kind = self.kind()?;
            let opened = match kind {
                Kind::Object | Kind::Array => {
                    self.at += 1;
                    if level >= self.depth.min(127) {
                        return Err(self.malformed("nested too deep"));
                    }
                    level += 1;
                    objects = (objects << 1) | u128::from(kind == Kind::Object);
                    true
                }
                Kind::Text | Kind::Number | Kind::Literal => {
                    self.atom(kind)?;
                    false
                }
            };
            // Up to where the next value starts.
            let mut first = opened;
            loop {
                if level == 0 {
                    return Ok(());
                }
                let in_object = objects & 1 == 1;
                let close = if in_object { b'}' } else { b']' };
                if self.take(close)? {
                    level -= 1;
                    objects >>= 1;
                    first = false;
                    continue;
                }
                if !first {
                    self.expect(b',', "`,` or a closing bracket expected")?;
                }
                if in_object {
                    if self.peek()? != Some(b'"') {
                        return Err(self.malformed("a key expected"));
                    }
                    self.string(None)?;
                    self.expect(b':', "`:` expected")?;
                }
                break;
            }
        }
    }

    /// Goes to the start of the next line that starts with a bracket; `false` at the end.
    pub(crate) fn next_bracketed_line(&mut self) -> Result<bool> {
        loop {
            let ahead = self.ahead()?;
            if ahead.is_empty() {
                return Ok(false);
            }
            match memchr::memchr(b'\n', ahead) {
                None => self.at += ahead.len(),
                Some(line) => {
                    self.at += line + 1;
                    if matches!(self.byte()?, Some(b'{' | b'[')) {
                        return Ok(true);
                    }
                }
            }
        }
    }
}

/// The text of a short raw string that has escapes. One that is cut or wrong is no known key.
fn unescape(raw: &[u8]) -> String {
    let mut quoted = Vec::with_capacity(raw.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(raw);
    quoted.push(b'"');
    serde_json::from_slice(&quoted).unwrap_or_else(|_| String::from_utf8_lossy(raw).into_owned())
}

/// Is the whole body UTF-8?
pub(crate) fn check_utf8(body: &Body) -> Result<()> {
    let error = |offset: u64| SplitError::Malformed {
        offset,
        what: "text is not UTF-8",
        skipped: 0..body.len(),
    };
    if let Some(bytes) = body.memory() {
        return match std::str::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(wrong) => Err(error(wrong.valid_up_to() as u64)),
        };
    }
    let mut window = vec![0; WINDOW];
    let mut base = 0;
    while base < body.len() {
        let read = body.read_at(base, &mut window)?;
        let bytes = window.get(..read).unwrap_or_default();
        let valid = match std::str::from_utf8(bytes) {
            Ok(_) => read,
            // A character may be cut by the window, not by the end.
            Err(wrong) if wrong.error_len().is_none() && base + (read as u64) < body.len() => {
                wrong.valid_up_to()
            }
            Err(wrong) => return Err(error(base + wrong.valid_up_to() as u64)),
        };
        if valid == 0 {
            return Err(error(base));
        }
        base += valid as u64;
    }
    Ok(())
}
