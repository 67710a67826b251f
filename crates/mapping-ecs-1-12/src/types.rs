//! What each attribute type becomes.

use ecs_model::FieldId;

use crate::fields::CATALOGUE;

/// Where the value of an attribute goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A hash of a file.
    Hash(FieldId),
    /// A file name.
    FileName,
    /// `filename|hash`; `None` for a hash this mapping does not know.
    FileNameAndHash(Option<FieldId>),
    /// A size in bytes.
    FileSize,
    /// A URL.
    Url,
    /// A URI, which may be only a path.
    Uri,
    /// A domain or host name.
    Domain,
    /// `domain|ip`
    DomainAndIp,
    /// An address, a network or a range.
    Ip,
    /// `ip|port`
    IpAndPort,
    /// An email address.
    EmailAddress,
    /// A part of an email: no field.
    EmailPart,
    /// A registry key.
    RegistryKey,
    /// `key|value`
    RegistryKeyAndValue,
    /// The number of an autonomous system.
    AsNumber,
    /// A hardware address: no field.
    Mac,
    /// No indicator type.
    Unknown,
}

impl Rule {
    /// The rule of an attribute type.
    pub(crate) fn of(attribute_type: &str) -> Self {
        match attribute_type {
            "filename" => Rule::FileName,
            "size-in-bytes" => Rule::FileSize,
            "url" | "link" => Rule::Url,
            "uri" => Rule::Uri,
            "domain" | "hostname" => Rule::Domain,
            "domain|ip" => Rule::DomainAndIp,
            "ip-src" | "ip-dst" => Rule::Ip,
            "ip-src|port" | "ip-dst|port" => Rule::IpAndPort,
            "email" | "email-src" | "email-dst" => Rule::EmailAddress,
            "regkey" => Rule::RegistryKey,
            "regkey|value" => Rule::RegistryKeyAndValue,
            "AS" => Rule::AsNumber,
            "mac-address" | "mac-eui-64" => Rule::Mac,
            other => {
                if let Some(hash) = other.strip_prefix("filename|") {
                    Rule::FileNameAndHash(match hash {
                        "authentihash" => Some(AUTHENTIHASH),
                        hash => hash_field(hash),
                    })
                } else if other.starts_with("email-") {
                    Rule::EmailPart
                } else {
                    hash_field(other).map_or(Rule::Unknown, Rule::Hash)
                }
            }
        }
    }
}

/// Only known beside a file name: the type `authentihash` alone has no indicator type.
const AUTHENTIHASH: FieldId = CATALOGUE.id("threat.indicator.file.hash.authentihash");

macro_rules! hashes {
    ($($kind:literal => $field:literal,)*) => {
        /// The field of a hash type.
        fn hash_field(kind: &str) -> Option<FieldId> {
            match kind {
                $($kind => {
                    const FIELD: FieldId =
                        CATALOGUE.id(concat!("threat.indicator.file.hash.", $field));
                    Some(FIELD)
                })*
                _ => None,
            }
        }
    };
}

hashes! {
    "md5" => "md5",
    "sha1" => "sha1",
    "sha224" => "sha224",
    "sha256" => "sha256",
    "sha384" => "sha384",
    "sha512" => "sha512",
    "sha512/224" => "sha512_224",
    "sha512/256" => "sha512_256",
    "sha3-224" => "sha3_224",
    "sha3-256" => "sha3_256",
    "sha3-384" => "sha3_384",
    "sha3-512" => "sha3_512",
    "ssdeep" => "ssdeep",
    "tlsh" => "tlsh",
    "vhash" => "vhash",
    "imphash" => "imphash",
    "impfuzzy" => "impfuzzy",
    "pehash" => "pehash",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_told_apart() {
        assert!(matches!(Rule::of("sha512/256"), Rule::Hash(_)));
        assert!(matches!(
            Rule::of("filename|sha3-384"),
            Rule::FileNameAndHash(Some(_))
        ));
        assert!(matches!(
            Rule::of("filename|authentihash"),
            Rule::FileNameAndHash(Some(_))
        ));
        assert_eq!(Rule::of("filename|made-up"), Rule::FileNameAndHash(None));
        assert_eq!(Rule::of("filename-pattern"), Rule::Unknown);
        assert_eq!(Rule::of("authentihash"), Rule::Unknown);
        assert_eq!(Rule::of("email-subject"), Rule::EmailPart);
        assert_eq!(Rule::of("target-email"), Rule::Unknown);
        assert_eq!(Rule::of("as"), Rule::Unknown);
        assert_eq!(Rule::of(""), Rule::Unknown);
    }
}
