//! Values of single attribute families.

use std::net::IpAddr;

/// Address families of `threat.indicator.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What an IP attribute holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ip {
    /// One plain address.
    Address(Family),
    /// A network or a range: fine for MISP, not for a field of type `ip`.
    Several(Family),
    /// Neither.
    Invalid(Option<Family>),
}

impl Ip {
    /// Looks at a value.
    pub fn read(text: &str) -> Self {
        if let Some(family) = address(text) {
            return Ip::Address(family);
        }
        if let Some((ip, prefix)) = text.split_once('/') {
            let prefix = prefix.parse::<u8>().ok();
            return match (address(ip), prefix) {
                (Some(Family::V4), Some(0..=32)) => Ip::Several(Family::V4),
                (Some(Family::V6), Some(0..=128)) => Ip::Several(Family::V6),
                (family, _) => Ip::Invalid(family.or_else(|| looks_like(ip))),
            };
        }
        if let Some((from, to)) = text.split_once('-') {
            let (from, to) = (address(from.trim()), address(to.trim()));
            if let (Some(family), true) = (from, from == to) {
                return Ip::Several(family);
            }
        }
        Ip::Invalid(looks_like(text))
    }

    /// The address family, as far as it can be told.
    pub fn family(self) -> Option<Family> {
        match self {
            Ip::Address(family) | Ip::Several(family) => Some(family),
            Ip::Invalid(family) => family,
        }
    }
}

/// The family of a plain address.
fn address(text: &str) -> Option<Family> {
    match text.parse().ok()? {
        IpAddr::V4(_) => Some(Family::V4),
        IpAddr::V6(_) => Some(Family::V6),
    }
}

fn looks_like(text: &str) -> Option<Family> {
    let only = |more: &str| {
        text.chars()
            .all(|c| c.is_ascii_hexdigit() || more.contains(c))
    };
    if text.contains(':') && only(":.%/-[]") {
        Some(Family::V6)
    } else if text.contains('.')
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || "./-[]*:".contains(c))
    {
        Some(Family::V4)
    } else {
        None
    }
}

/// A port, 0 to 65535.
pub fn port(text: &str) -> Option<u16> {
    digits(text)?.parse().ok()
}

/// The number of an autonomous system, with or without `AS` before it.
pub fn as_number(text: &str) -> Option<u32> {
    let number = match text.get(..2) {
        Some(prefix) if prefix.eq_ignore_ascii_case("as") => text.get(2..)?.trim_start(),
        _ => text,
    };
    digits(number)?.parse().ok()
}

/// A size in bytes.
pub fn size(text: &str) -> Option<i64> {
    digits(text)?.parse().ok()
}

/// Rust's number parsers also take a sign.
fn digits(text: &str) -> Option<&str> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_networks_and_the_rest() {
        let cases = [
            ("192.0.2.1", Ip::Address(Family::V4)),
            ("2001:db8::1", Ip::Address(Family::V6)),
            ("::ffff:192.0.2.128", Ip::Address(Family::V6)),
            ("192.0.2.0/24", Ip::Several(Family::V4)),
            ("2001:db8::/32", Ip::Several(Family::V6)),
            ("192.0.2.1-192.0.2.9", Ip::Several(Family::V4)),
            ("2001:db8::1 - 2001:db8::9", Ip::Several(Family::V6)),
            ("192.0.2.0/33", Ip::Invalid(Some(Family::V4))),
            ("192.0.2.256", Ip::Invalid(Some(Family::V4))),
            ("192.0.2.01", Ip::Invalid(Some(Family::V4))),
            ("fe80::1%1", Ip::Invalid(Some(Family::V6))),
            ("example.com", Ip::Invalid(None)),
            ("", Ip::Invalid(None)),
        ];
        for (text, expected) in cases {
            assert_eq!(Ip::read(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(port("443"), Some(443));
        assert_eq!(as_number("AS64496"), Some(64496));
        assert_eq!(as_number("as 64496"), Some(64496));
        assert_eq!(as_number("64496"), Some(64496));
        assert_eq!(size("1024"), Some(1024));
        for bad in ["", "+1", "-1", "65536x", "é", "aé"] {
            assert_eq!(
                (port(bad), as_number(bad), size(bad)),
                (None, None, None),
                "{bad}"
            );
        }
        assert_eq!(port("65536"), None);
    }
}
