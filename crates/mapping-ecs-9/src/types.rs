//! What each attribute type becomes: one line a type.

use crate::hash::{self, HashRule};

/// Where the value of an attribute goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// Only to `misp.attribute.value`.
    Raw,
    /// A hash of a file.
    Hash(&'static HashRule),
    /// `filename|hash`
    FileNameAndHash(&'static HashRule),
    /// The fingerprint of a certificate, colons between the bytes or not.
    Certificate(&'static HashRule),
    /// A hash that only `related.hash` has a place for, of so many hex digits.
    RelatedHash(usize),
    /// A file name, perhaps with its path.
    FileName,
    /// A media type.
    MimeType,
    /// A size in bytes.
    FileSize,
    /// An address, a network or a range.
    Ip,
    /// `ip|port`, `ip:port` or `[ip]:port`
    IpAndPort,
    /// A domain or host name.
    Host,
    /// `domain|ip`
    DomainAndIp,
    /// `host|port`
    HostAndPort,
    /// The name of a Tor service.
    Onion,
    /// An email address.
    Email,
    /// What is an email address if it holds an `@`.
    PerhapsEmail,
    /// A URL.
    Url,
    /// A URI, which may be only a path.
    Uri,
    /// A URL of a report; an indicator only where `to_ids` is on.
    Link,
    /// A registry key.
    RegistryKey,
    /// `key|data`
    RegistryKeyAndData,
    /// The number of an autonomous system.
    AsNumber,
    /// A port alone.
    Port,
    /// A hardware address.
    Mac,
    /// The id of a vulnerability.
    Vulnerability,
    /// The name of a group.
    ThreatActor,
    /// The name of a malware family or class, free text.
    MalwareType,
    /// A victim's machine: only `related.hosts`.
    RelatedHost,
    /// An account: only `related.user`.
    RelatedUser,
    /// An account whose case does not count: only `related.user`.
    RelatedUserLower,
}

/// One attribute type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttributeType {
    /// MISP's name of it.
    pub(crate) name: &'static str,
    /// See [`misp_model::prefix`]: most names differ in it.
    prefix: u64,
    /// `threat.indicator.type`; `None` also where the rule tells it by the value.
    pub(crate) indicator: Option<&'static str>,
    /// Where its values go.
    pub(crate) rule: Rule,
}

impl AttributeType {
    /// What is known of a type.
    pub(crate) fn of(name: &str) -> Option<&'static Self> {
        let prefix = misp_model::prefix(name);
        let order = |known: &Self| {
            let by_prefix = known.prefix.cmp(&prefix);
            by_prefix.then_with(|| known.name.cmp(name))
        };
        TYPES.get(TYPES.binary_search_by(order).ok()?)
    }
}

use Rule::*;

const fn keep(name: &'static str, indicator: Option<&'static str>, rule: Rule) -> AttributeType {
    AttributeType {
        name,
        prefix: misp_model::prefix(name),
        indicator,
        rule,
    }
}

/// Every type of MISP 2.5, sorted by name (byte order).
#[rustfmt::skip]
pub(crate) static TYPES: &[AttributeType] = &[
    keep("AS", Some("autonomous-system"), AsNumber),
    keep("aba-rtn", None, Raw),
    keep("anonymised", None, Raw),
    keep("attachment", Some("artifact"), FileName),
    keep("authentihash", Some("file"), Hash(&hash::AUTHENTIHASH)),
    keep("azure-application-id", Some("software"), Raw),
    keep("bank-account-nr", None, Raw),
    keep("bic", None, Raw),
    keep("bin", None, Raw),
    keep("boolean", None, Raw),
    keep("bro", None, Raw),
    keep("btc", None, Raw),
    keep("campaign-id", None, Raw),
    keep("campaign-name", None, Raw),
    keep("cc-number", None, Raw),
    keep("cdhash", Some("file"), Hash(&hash::CDHASH)),
    keep("chrome-extension-id", Some("software"), Raw),
    keep("comment", None, Raw),
    keep("community-id", None, Raw),
    keep("cookie", None, Raw),
    keep("cortex", None, Raw),
    keep("counter", None, Raw),
    keep("country-of-residence", None, Raw),
    keep("cpe", Some("software"), Raw),
    keep("dash", None, Raw),
    keep("date-of-birth", None, Raw),
    keep("datetime", None, Raw),
    keep("dkim", None, Raw),
    keep("dkim-signature", None, Raw),
    keep("dns-soa-email", Some("email-addr"), PerhapsEmail),
    keep("dom-hash", None, RelatedHash(32)),
    keep("domain", Some("domain-name"), Host),
    keep("domain|ip", Some("domain-name"), DomainAndIp),
    keep("edge-extension-id", Some("software"), Raw),
    keep("email", Some("email-addr"), Email),
    keep("email-attachment", Some("file"), FileName),
    keep("email-body", None, Raw),
    keep("email-dst", Some("email-addr"), Email),
    keep("email-dst-display-name", None, Raw),
    keep("email-header", None, Raw),
    keep("email-message-id", None, Raw),
    keep("email-mime-boundary", None, Raw),
    keep("email-reply-to", Some("email-addr"), PerhapsEmail),
    keep("email-src", Some("email-addr"), Email),
    keep("email-src-display-name", None, Raw),
    keep("email-subject", None, Raw),
    keep("email-thread-index", None, Raw),
    keep("email-x-mailer", None, Raw),
    keep("eppn", Some("user-account"), RelatedUserLower),
    keep("favicon-mmh3", None, Raw),
    keep("filename", Some("file"), FileName),
    keep("filename-pattern", None, Raw),
    keep("filename|authentihash", Some("file"), FileNameAndHash(&hash::AUTHENTIHASH)),
    keep("filename|impfuzzy", Some("file"), FileNameAndHash(&hash::IMPFUZZY)),
    keep("filename|imphash", Some("file"), FileNameAndHash(&hash::IMPHASH)),
    keep("filename|md5", Some("file"), FileNameAndHash(&hash::MD5)),
    keep("filename|pehash", Some("file"), FileNameAndHash(&hash::PEHASH)),
    keep("filename|sha1", Some("file"), FileNameAndHash(&hash::SHA1)),
    keep("filename|sha224", Some("file"), FileNameAndHash(&hash::SHA224)),
    keep("filename|sha256", Some("file"), FileNameAndHash(&hash::SHA256)),
    keep("filename|sha3-224", Some("file"), FileNameAndHash(&hash::SHA3_224)),
    keep("filename|sha3-256", Some("file"), FileNameAndHash(&hash::SHA3_256)),
    keep("filename|sha3-384", Some("file"), FileNameAndHash(&hash::SHA3_384)),
    keep("filename|sha3-512", Some("file"), FileNameAndHash(&hash::SHA3_512)),
    keep("filename|sha384", Some("file"), FileNameAndHash(&hash::SHA384)),
    keep("filename|sha512", Some("file"), FileNameAndHash(&hash::SHA512)),
    keep("filename|sha512/224", Some("file"), FileNameAndHash(&hash::SHA512_224)),
    keep("filename|sha512/256", Some("file"), FileNameAndHash(&hash::SHA512_256)),
    keep("filename|ssdeep", Some("file"), FileNameAndHash(&hash::SSDEEP)),
    keep("filename|tlsh", Some("file"), FileNameAndHash(&hash::TLSH)),
    keep("filename|vhash", Some("file"), FileNameAndHash(&hash::VHASH)),
    keep("first-name", None, Raw),
    keep("float", None, Raw),
    keep("frequent-flyer-number", None, Raw),
    keep("full-name", None, Raw),
    keep("gender", None, Raw),
    keep("gene", None, Raw),
    keep("git-commit-id", None, Raw),
    keep("github-organisation", None, Raw),
    keep("github-repository", None, Raw),
    keep("github-username", Some("user-account"), RelatedUser),
    keep("hassh-md5", None, RelatedHash(32)),
    keep("hasshserver-md5", None, RelatedHash(32)),
    keep("hex", None, Raw),
    keep("hostname", Some("domain-name"), Host),
    keep("hostname|port", Some("domain-name"), HostAndPort),
    keep("http-method", None, Raw),
    keep("iban", None, Raw),
    keep("identity-card-number", None, Raw),
    keep("impfuzzy", Some("file"), Hash(&hash::IMPFUZZY)),
    keep("imphash", Some("file"), Hash(&hash::IMPHASH)),
    keep("integer", None, Raw),
    keep("ip-dst", None, Ip),
    keep("ip-dst|port", None, IpAndPort),
    keep("ip-src", None, Ip),
    keep("ip-src|port", None, IpAndPort),
    keep("issue-date-of-the-visa", None, Raw),
    keep("ja3-fingerprint-md5", None, RelatedHash(32)),
    keep("jabber-id", Some("user-account"), RelatedUser),
    keep("jarm-fingerprint", None, RelatedHash(62)),
    keep("kusto-query", None, Raw),
    keep("last-name", None, Raw),
    keep("link", Some("url"), Link),
    keep("mac-address", Some("mac-addr"), Mac),
    keep("mac-eui-64", Some("mac-addr"), Mac),
    keep("malware-sample", Some("file"), FileNameAndHash(&hash::MD5)),
    keep("malware-type", None, MalwareType),
    keep("md5", Some("file"), Hash(&hash::MD5)),
    keep("middle-name", None, Raw),
    keep("mime-type", Some("file"), MimeType),
    keep("mobile-application-id", Some("software"), Raw),
    keep("mutex", Some("mutex"), Raw),
    keep("named pipe", None, Raw),
    keep("nationality", None, Raw),
    keep("onion-address", Some("domain-name"), Onion),
    keep("other", None, Raw),
    keep("passenger-name-record-locator-number", None, Raw),
    keep("passport-country", None, Raw),
    keep("passport-expiration", None, Raw),
    keep("passport-number", None, Raw),
    keep("pattern-in-file", None, Raw),
    keep("pattern-in-memory", None, Raw),
    keep("pattern-in-traffic", None, Raw),
    keep("payment-details", None, Raw),
    keep("pdb", Some("file"), Raw),
    keep("pehash", Some("file"), Hash(&hash::PEHASH)),
    keep("pgp-private-key", None, Raw),
    keep("pgp-public-key", None, Raw),
    keep("phone-number", None, Raw),
    keep("place-of-birth", None, Raw),
    keep("place-port-of-clearance", None, Raw),
    keep("place-port-of-onward-foreign-destination", None, Raw),
    keep("place-port-of-original-embarkation", None, Raw),
    keep("port", Some("port"), Port),
    keep("primary-residence", None, Raw),
    keep("process-state", None, Raw),
    keep("prtn", None, Raw),
    keep("redress-number", None, Raw),
    keep("regkey", Some("windows-registry-key"), RegistryKey),
    keep("regkey|value", Some("windows-registry-key"), RegistryKeyAndData),
    keep("sha1", Some("file"), Hash(&hash::SHA1)),
    keep("sha224", Some("file"), Hash(&hash::SHA224)),
    keep("sha256", Some("file"), Hash(&hash::SHA256)),
    keep("sha3-224", Some("file"), Hash(&hash::SHA3_224)),
    keep("sha3-256", Some("file"), Hash(&hash::SHA3_256)),
    keep("sha3-384", Some("file"), Hash(&hash::SHA3_384)),
    keep("sha3-512", Some("file"), Hash(&hash::SHA3_512)),
    keep("sha384", Some("file"), Hash(&hash::SHA384)),
    keep("sha512", Some("file"), Hash(&hash::SHA512)),
    keep("sha512/224", Some("file"), Hash(&hash::SHA512_224)),
    keep("sha512/256", Some("file"), Hash(&hash::SHA512_256)),
    keep("sigma", None, Raw),
    keep("size-in-bytes", Some("file"), FileSize),
    keep("snort", None, Raw),
    keep("special-service-request", None, Raw),
    keep("ssdeep", Some("file"), Hash(&hash::SSDEEP)),
    keep("ssh-fingerprint", None, Raw),
    keep("stix2-pattern", None, Raw),
    keep("suricata", None, Raw),
    keep("target-email", None, RelatedUserLower),
    keep("target-external", None, Raw),
    keep("target-location", None, Raw),
    keep("target-machine", None, RelatedHost),
    keep("target-org", None, Raw),
    keep("target-user", None, RelatedUser),
    keep("telfhash", Some("file"), Hash(&hash::TELFHASH)),
    keep("text", None, Raw),
    keep("threat-actor", None, ThreatActor),
    keep("tlsh", Some("file"), Hash(&hash::TLSH)),
    keep("travel-details", None, Raw),
    keep("twitter-id", Some("user-account"), RelatedUser),
    keep("uri", Some("url"), Uri),
    keep("url", Some("url"), Url),
    keep("user-agent", None, Raw),
    keep("uuid", None, Raw),
    keep("vhash", Some("file"), Hash(&hash::VHASH)),
    keep("visa-number", None, Raw),
    keep("vulnerability", None, Vulnerability),
    keep("weakness", None, Raw),
    keep("whois-creation-date", None, Raw),
    keep("whois-registrant-email", Some("email-addr"), Email),
    keep("whois-registrant-name", None, Raw),
    keep("whois-registrant-org", None, Raw),
    keep("whois-registrant-phone", None, Raw),
    keep("whois-registrar", None, Raw),
    keep("windows-scheduled-task", None, Raw),
    keep("windows-service-displayname", None, Raw),
    keep("windows-service-name", None, Raw),
    keep("x509-fingerprint-md5", Some("x509-certificate"), Certificate(&hash::MD5)),
    keep("x509-fingerprint-sha1", Some("x509-certificate"), Certificate(&hash::SHA1)),
    keep("x509-fingerprint-sha256", Some("x509-certificate"), Certificate(&hash::SHA256)),
    keep("xmr", None, Raw),
    keep("yara", None, Raw),
    keep("zeek", None, Raw),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(TYPES.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn neighbours_are_told_apart() {
        let rule = |name| AttributeType::of(name).map(|known| known.rule);
        assert!(matches!(rule("filename-pattern"), Some(Raw)));
        let Some(FileNameAndHash(sha)) = rule("filename|sha512/256") else {
            panic!("another rule");
        };
        assert_eq!(sha.field, hash::SHA512_256.field);
        assert!(matches!(rule("AS"), Some(AsNumber)));
        assert!(rule("as").is_none() && rule("").is_none() && rule("filename|made-up").is_none());
    }
}
