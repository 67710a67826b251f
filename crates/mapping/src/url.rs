//! The parts of a URL.
//!
//! Indicators are often not quite URLs, so this is the tolerant split of RFC 3986,
//! appendix B, which takes any text. What the seed's system did on top of it is
//! kept: the parts of a wholly valid URI are percent-decoded, those of any other
//! are left as they stand; `mailto:` and the like have a scheme and no path.

use std::borrow::Cow;

/// The parts of a URL. Absent parts are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Url<'a> {
    /// Before the first `:`.
    pub scheme: Option<&'a str>,
    /// The host, an IPv6 address in its brackets.
    pub domain: Option<&'a str>,
    /// The port: `Err` with its text if it is none.
    pub port: Option<Result<u16, &'a str>>,
    /// The path; empty if the URL has a host and no path.
    pub path: Option<Cow<'a, str>>,
    /// After `?`.
    pub query: Option<Cow<'a, str>>,
    /// After `#`.
    pub fragment: Option<Cow<'a, str>>,
    /// Before the first `:` of the user information.
    pub username: Option<Cow<'a, str>>,
    /// After the first `:` of the user information.
    pub password: Option<Cow<'a, str>>,
}

impl<'a> Url<'a> {
    /// Splits any text.
    pub fn split(text: &'a str) -> Self {
        let decode: fn(&'a str) -> Cow<'a, str> = if is_strict(text) {
            decode
        } else {
            |part| Cow::Borrowed(part)
        };
        let (rest, fragment) = cut(text, '#');
        let (scheme, rest) = split_scheme(rest);
        let mut url = Url {
            scheme,
            fragment: fragment.map(decode),
            ..Url::default()
        };
        if scheme.is_some() && !rest.starts_with('/') {
            return url;
        }
        let (rest, query) = cut(rest, '?');
        url.query = query.map(decode);
        let path = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                url.authority(authority, decode);
                path
            }
            None => rest,
        };
        url.path = Some(decode(path));
        url
    }

    fn authority(&mut self, authority: &'a str, decode: impl Fn(&'a str) -> Cow<'a, str>) {
        let host = match authority.rsplit_once('@') {
            Some((user, host)) => {
                let (username, password) = cut(user, ':');
                self.username = Some(decode(username));
                self.password = password.map(decode);
                host
            }
            None => authority,
        };
        let after_brackets = host.rfind(']').map_or(0, |at| at + 1);
        let colon = host.get(after_brackets..).and_then(|rest| rest.find(':'));
        let (domain, port) = match colon {
            Some(at) => cut_at(host, after_brackets + at),
            None => (host, None),
        };
        self.domain = Some(domain).filter(|domain| !domain.is_empty());
        self.port = port
            .filter(|port| !port.is_empty())
            .map(|port| crate::value::port(port).ok_or(port));
    }

    /// Is there neither a scheme nor a host: is it only a path, perhaps with a query?
    pub fn is_relative(&self) -> bool {
        self.scheme.is_none() && self.domain.is_none()
    }

    /// What follows the last `.` of the path's last segment.
    pub fn extension(&self) -> Option<&str> {
        let (_, segment) = self.path.as_deref()?.rsplit_once('/')?;
        let (_, extension) = segment.rsplit_once('.')?;
        Some(extension).filter(|extension| !extension.is_empty())
    }
}

/// What is before the first `mark`, and what after it.
fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// What is before and after the one-byte character at `at`.
fn cut_at(text: &str, at: usize) -> (&str, Option<&str>) {
    (text.get(..at).unwrap_or(text), text.get(at + 1..))
}

/// The scheme and what follows its `:`. `example.com:8080/x` has none.
fn split_scheme(text: &str) -> (Option<&str>, &str) {
    let Some((scheme, rest)) = text.split_once(':') else {
        return (None, text);
    };
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let is_host_and_port = !rest.starts_with('/') && rest.starts_with(|c: char| c.is_ascii_digit());
    if valid && !is_host_and_port {
        (Some(scheme), rest)
    } else {
        (None, text)
    }
}

/// Are all characters ones that a URI may hold, and all `%` escapes whole?
fn is_strict(text: &str) -> bool {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let fine = match c {
            '%' => {
                let mut hex = || rest.next().is_some_and(|c| c.is_ascii_hexdigit());
                hex() && hex()
            }
            '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' => false,
            c => !c.is_control() && !c.is_whitespace(),
        };
        if !fine {
            return false;
        }
    }
    true
}

/// Percent-decoded; as it stands if the result were not UTF-8.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match tail {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escape {
            Some((high, low)) => {
                bytes.push(high * 16 + low);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_parts() {
        let url = Url::split("https://user:s%3Ax@www.example.com:8443/a/b.tar.gz?q=1&r=%20#top");
        assert_eq!(url.scheme, Some("https"));
        assert_eq!(url.username.as_deref(), Some("user"));
        assert_eq!(url.password.as_deref(), Some("s:x"));
        assert_eq!(url.domain, Some("www.example.com"));
        assert_eq!(url.port, Some(Ok(8443)));
        assert_eq!(url.path.as_deref(), Some("/a/b.tar.gz"));
        assert_eq!(url.extension(), Some("gz"));
        assert_eq!(url.query.as_deref(), Some("q=1&r= "));
        assert_eq!(url.fragment.as_deref(), Some("top"));
    }

    #[test]
    fn odd_ones() {
        let split = Url::split;
        assert_eq!(split("http://example.com").path.as_deref(), Some(""));
        assert_eq!(
            split("http://[2001:db8::1]:80/").domain,
            Some("[2001:db8::1]")
        );
        assert_eq!(split("http://[2001:db8::1]:80/").port, Some(Ok(80)));
        assert_eq!(split("http://example.com:/").port, None);
        assert_eq!(split("http://example.com:99999/").port, Some(Err("99999")));
        assert_eq!(
            split("hxxp://example.com/a b?c").path.as_deref(),
            Some("/a b")
        );
        assert_eq!(
            split("http://example.com/%41 ").path.as_deref(),
            Some("/%41 ")
        );
        assert_eq!(
            split("http://example.com/%ff").path.as_deref(),
            Some("/%ff")
        );
        assert_eq!(
            split("http://example.com/100%").path.as_deref(),
            Some("/100%")
        );
        assert_eq!(split("http://a@b@example.com/").domain, Some("example.com"));
        assert_eq!(split("http://example.com?q").query.as_deref(), Some("q"));
        assert_eq!(split("mailto:a@example.org").scheme, Some("mailto"));
        assert_eq!(split("mailto:a@example.org").path, None);
        assert_eq!(
            split("example.com:8080/x").path.as_deref(),
            Some("example.com:8080/x")
        );
        assert_eq!(split("http://example.com/a.b/c").extension(), None);
        assert!(split("/gate.php?x=1").is_relative());
        assert!(!split("//example.com/x").is_relative());
    }

    proptest! {
        #[test]
        fn any_text_splits(text in any::<String>()) {
            let _ = Url::split(&text).extension();
        }

        #[test]
        fn any_url_like_text_splits(text in "[a:/?#@%\\[\\]. é0]{0,24}") {
            let url = Url::split(&text);
            if url.scheme.is_none() {
                prop_assert!(url.path.is_some());
            }
        }
    }
}
