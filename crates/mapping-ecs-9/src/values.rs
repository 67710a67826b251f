//! Values in the form that ECS fields have them.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::hash::lower;

/// What stands where a host is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host<'v> {
    /// An address.
    Ip(IpAddr),
    /// A name: lower case, no dot at either end, punycode.
    Name(Cow<'v, str>),
}

impl<'v> Host<'v> {
    /// Reads an address or a name.
    pub(crate) fn read(text: &'v str) -> Option<Self> {
        let text = text.trim();
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(text).parse() {
            return Some(Host::Ip(ip));
        }
        name(text.trim_matches('.')).map(Host::Name)
    }
}

fn name(text: &str) -> Option<Cow<'_, str>> {
    let name = if text.is_ascii() {
        lower(text)
    } else {
        Cow::Owned(idna::domain_to_ascii(text).ok()?)
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_*".contains(&byte);
    let fits = name.len() <= 253
        && name
            .split('.')
            .all(|label| (1..=63).contains(&label.len()) && label.bytes().all(allowed));
    fits.then_some(name)
}

/// Is it 16 or 56 characters of base 32 and `.onion`, perhaps with labels before them?
pub(crate) fn is_onion(name: &str) -> bool {
    name.strip_suffix(".onion").is_some_and(|rest| {
        let label = rest.rsplit('.').next().unwrap_or_default();
        matches!(label.len(), 16 | 56)
            && label
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
    })
}

/// The registered domain of a name, the rest before it, and its public suffix.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Suffix<'n> {
    pub(crate) registered: Option<&'n str>,
    pub(crate) subdomain: Option<&'n str>,
    pub(crate) top_level: Option<&'n str>,
}

/// By the public suffix list; a suffix that it does not list is no suffix.
#[cfg(feature = "public-suffix")]
pub(crate) fn suffix(name: &str) -> Suffix<'_> {
    let end = |part: &[u8]| name.get(name.len() - part.len().min(name.len())..);
    let domain = psl::domain(name.as_bytes());
    let known = |suffix: &psl::Suffix<'_>| suffix.is_known().then(|| end(suffix.as_bytes()))?;
    let top_level = match &domain {
        Some(domain) => known(&domain.suffix()),
        // A name that is a suffix itself has none.
        None => psl::suffix(name.as_bytes()).as_ref().and_then(known),
    };
    let Some(top_level) = top_level else {
        return Suffix::default();
    };
    let registered = domain.and_then(|domain| end(domain.as_bytes()));
    let subdomain =
        registered.and_then(|registered| name.strip_suffix(registered)?.strip_suffix('.'));
    Suffix {
        registered,
        subdomain,
        top_level: Some(top_level),
    }
}

/// Without the list nothing is known.
#[cfg(not(feature = "public-suffix"))]
pub(crate) fn suffix(_name: &str) -> Suffix<'_> {
    Suffix::default()
}

/// An address without display name and angle brackets, in lower case.
pub(crate) fn email(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let bare = match text.rsplit_once('<') {
        Some((_, rest)) => rest.strip_suffix('>')?,
        None => text,
    };
    let (user, host) = bare.rsplit_once('@')?;
    let fits = !user.is_empty() && !host.is_empty() && !bare.contains(char::is_whitespace);
    fits.then(|| lower(bare))
}

/// The number of an autonomous system, `a.b` too.
pub(crate) fn as_number(text: &str) -> Option<u32> {
    let text = text.trim();
    let number = match text.get(..2) {
        Some(prefix) if prefix.eq_ignore_ascii_case("as") => text.get(2..)?.trim_start(),
        _ => text,
    };
    match number.split_once('.') {
        Some((high, low)) => {
            let (high, low) = (mapping::value::port(high)?, mapping::value::port(low)?);
            Some(u32::from(high) * 65_536 + u32::from(low))
        }
        None => mapping::value::as_number(number),
    }
}

/// A port, 1 to 65535.
pub(crate) fn port(text: &str) -> Option<u16> {
    mapping::value::port(text.trim()).filter(|port| *port > 0)
}

/// Splits `ip|port`, `ip:port` or `[ip]:port`.
pub(crate) fn split_port(text: &str) -> Option<(&str, &str)> {
    let split = text.rsplit_once('|').or_else(|| {
        let (ip, port) = text.rsplit_once(':')?;
        (ip.starts_with('[') || !ip.contains(':')).then_some((ip, port))
    });
    split.map(|(ip, port)| {
        let ip = ip.trim();
        let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'));
        (bare.unwrap_or(ip), port)
    })
}

/// A hardware address of 6 or 8 bytes as ECS has it: `00-00-5E-00-53-23`.
pub(crate) fn mac(text: &str) -> Option<String> {
    let mut digits = String::with_capacity(16);
    for c in text.trim().chars() {
        match c {
            '0'..='9' | 'a'..='f' | 'A'..='F' => digits.push(c.to_ascii_uppercase()),
            ':' | '-' | '.' => {}
            _ => return None,
        }
    }
    if !matches!(digits.len(), 12 | 16) {
        return None;
    }
    let mut out = String::with_capacity(23);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index % 2 == 0 {
            out.push('-');
        }
        out.push(digit);
    }
    Some(out)
}

/// `CVE-yyyy-n..`, whatever its case and dashes.
pub(crate) fn cve(text: &str) -> Option<String> {
    let id: String = text
        .trim()
        .chars()
        .map(|c| match c {
            '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            c => c.to_ascii_uppercase(),
        })
        .collect();
    let (year, number) = id.strip_prefix("CVE-")?.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (year.len() == 4 && digits(year) && number.len() >= 4 && digits(number)).then_some(id)
}

/// A registry key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Registry {
    /// The hive, abbreviated; `None` if it is not one of the five.
    pub(crate) hive: Option<&'static str>,
    /// The key below the hive.
    pub(crate) key: Option<String>,
    /// All of it.
    pub(crate) path: String,
}

const HIVES: [(&str, &str); 5] = [
    ("HKEY_CLASSES_ROOT", "HKCR"),
    ("HKEY_CURRENT_CONFIG", "HKCC"),
    ("HKEY_CURRENT_USER", "HKCU"),
    ("HKEY_LOCAL_MACHINE", "HKLM"),
    ("HKEY_USERS", "HKU"),
];

/// Reads a registry key; doubled backslashes count as one.
pub(crate) fn registry(text: &str) -> Registry {
    let mut path = String::with_capacity(text.len());
    for c in text.trim().chars() {
        if c != '\\' || !path.ends_with('\\') {
            path.push(c);
        }
    }
    let (first, rest) = match path.split_once('\\') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path.as_str(), None),
    };
    let hive = HIVES.iter().find_map(|(long, short)| {
        let is = first.eq_ignore_ascii_case(long) || first.eq_ignore_ascii_case(short);
        is.then_some(*short)
    });
    let Some(hive) = hive else {
        return Registry {
            hive: None,
            key: None,
            path,
        };
    };
    let key = rest.filter(|rest| !rest.is_empty()).map(str::to_owned);
    Registry {
        hive: Some(hive),
        path: match &key {
            Some(key) => format!("{hive}\\{key}"),
            None => hive.to_owned(),
        },
        key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Option<String> {
        Host::read(text).map(|host| match host {
            Host::Ip(ip) => format!("ip {ip}"),
            Host::Name(name) => name.into_owned(),
        })
    }

    #[test]
    fn hosts() {
        for (text, expected) in [
            ("WWW.Example.com.", Some("www.example.com")),
            (".example.org", Some("example.org")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("_dmarc.example.com", Some("_dmarc.example.com")),
            ("192.0.2.1", Some("ip 192.0.2.1")),
            ("[2001:DB8:0::1]", Some("ip 2001:db8::1")),
            ("a b.example", None),
            ("example..com", None),
            ("http://example.com", None),
            ("", None),
        ] {
            assert_eq!(host(text).as_deref(), expected, "{text}");
        }
        assert_eq!(host(&format!("{}.example", "a".repeat(64))), None);
    }

    #[cfg(feature = "public-suffix")]
    #[test]
    fn suffixes() {
        let found = suffix("a.b.example.co.uk");
        assert_eq!(found.registered, Some("example.co.uk"));
        assert_eq!(found.subdomain, Some("a.b"));
        assert_eq!(found.top_level, Some("co.uk"));
        assert_eq!(suffix("example.com").subdomain, None);
        assert_eq!(suffix("co.uk").registered, None);
        assert_eq!(suffix("host.not-a-suffix"), Suffix::default());
    }

    #[test]
    fn onions() {
        assert!(is_onion("expyuzz4wqqyqhjn.onion"));
        assert!(is_onion(&format!("www.{}.onion", "a2".repeat(28))));
        assert!(!is_onion("example.onion") && !is_onion("expyuzz4wqqyqhj1.onion"));
    }

    #[test]
    fn emails() {
        assert_eq!(
            email(" Eve <Eve@Example.COM> ").as_deref(),
            Some("eve@example.com")
        );
        for bad in ["", "@", "a@", "@b", "plain", "a b@c", "x <a@b"] {
            assert_eq!(email(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(as_number("AS64496"), Some(64_496));
        assert_eq!(as_number("1.10"), Some(65_546));
        for bad in ["", "AS", "1.", "65536.1", "4294967296", "ASx"] {
            assert_eq!(as_number(bad), None, "{bad}");
        }
        assert_eq!(
            (port("443"), port("0"), port("65536")),
            (Some(443), None, None)
        );
        assert_eq!(split_port("192.0.2.1|80"), Some(("192.0.2.1", "80")));
        assert_eq!(split_port("192.0.2.1:80"), Some(("192.0.2.1", "80")));
        assert_eq!(split_port("[2001:db8::1]:80"), Some(("2001:db8::1", "80")));
        assert_eq!(split_port("2001:db8::1|80"), Some(("2001:db8::1", "80")));
        assert_eq!(split_port("2001:db8::1"), None);
    }

    #[test]
    fn macs() {
        assert_eq!(
            mac("00:00:5e:00:53:23").as_deref(),
            Some("00-00-5E-00-53-23")
        );
        assert_eq!(mac("0000.5e00.5323").as_deref(), Some("00-00-5E-00-53-23"));
        assert!(mac("00005e0053230001").is_some());
        assert!(mac("00:00:5e").is_none() && mac("zz").is_none());
    }

    #[test]
    fn cves() {
        assert_eq!(
            cve("cve\u{2013}2024\u{2013}12345").as_deref(),
            Some("CVE-2024-12345")
        );
        for bad in ["CVE-2024", "CVE-24-12345", "CVE-2024-1x34", "x"] {
            assert_eq!(cve(bad), None, "{bad}");
        }
    }

    #[test]
    fn registry_keys() {
        let found = registry(r"hkey_local_machine\\SOFTWARE\\Example");
        assert_eq!(found.hive, Some("HKLM"));
        assert_eq!(found.key.as_deref(), Some(r"SOFTWARE\Example"));
        assert_eq!(found.path, r"HKLM\SOFTWARE\Example");
        assert_eq!(registry("HKCU").path, "HKCU");
        let other = registry(r"SOFTWARE\Example");
        assert_eq!((other.hive, other.key), (None, None));
        assert_eq!(other.path, r"SOFTWARE\Example");
    }
}
