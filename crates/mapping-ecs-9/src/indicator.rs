//! `threat.indicator.type`, its name, and the fields that hold an attribute's value.

use std::borrow::Cow;
use std::net::IpAddr;

use ecs_model::{FieldId, Leaves, json};
use mapping::problems::Problems;
use mapping::url::Url;
use mapping::value::{self, Family, Ip};

use crate::fields::CATALOGUE;
use crate::hash::{self, HashRule, lower};
use crate::settings::Options;
use crate::types::{AttributeType, Rule};
use crate::values::{self, Host};

const AS_NUMBER: FieldId = CATALOGUE.id("threat.indicator.as.number");
const EMAIL_ADDRESS: FieldId = CATALOGUE.id("threat.indicator.email.address");
const FILE_EXTENSION: FieldId = CATALOGUE.id("threat.indicator.file.extension");
const FILE_MIME_TYPE: FieldId = CATALOGUE.id("threat.indicator.file.mime_type");
const FILE_NAME: FieldId = CATALOGUE.id("threat.indicator.file.name");
const FILE_PATH: FieldId = CATALOGUE.id("threat.indicator.file.path");
const FILE_SIZE: FieldId = CATALOGUE.id("threat.indicator.file.size");
const IP: FieldId = CATALOGUE.id("threat.indicator.ip");
const MAC: FieldId = CATALOGUE.id("threat.indicator.mac");
const PORT: FieldId = CATALOGUE.id("threat.indicator.port");
const REFERENCE: FieldId = CATALOGUE.id("threat.indicator.reference");
const REGISTRY_DATA: FieldId = CATALOGUE.id("threat.indicator.registry.data.strings");
const REGISTRY_HIVE: FieldId = CATALOGUE.id("threat.indicator.registry.hive");
const REGISTRY_KEY: FieldId = CATALOGUE.id("threat.indicator.registry.key");
const REGISTRY_PATH: FieldId = CATALOGUE.id("threat.indicator.registry.path");
const RELATED_HASH: FieldId = CATALOGUE.id("related.hash");
const RELATED_HOSTS: FieldId = CATALOGUE.id("related.hosts");
const RELATED_IP: FieldId = CATALOGUE.id("related.ip");
const RELATED_USER: FieldId = CATALOGUE.id("related.user");
const URL_DOMAIN: FieldId = CATALOGUE.id("threat.indicator.url.domain");
const URL_EXTENSION: FieldId = CATALOGUE.id("threat.indicator.url.extension");
const URL_FRAGMENT: FieldId = CATALOGUE.id("threat.indicator.url.fragment");
const URL_FULL: FieldId = CATALOGUE.id("threat.indicator.url.full");
const URL_ORIGINAL: FieldId = CATALOGUE.id("threat.indicator.url.original");
const URL_PASSWORD: FieldId = CATALOGUE.id("threat.indicator.url.password");
const URL_PATH: FieldId = CATALOGUE.id("threat.indicator.url.path");
const URL_PORT: FieldId = CATALOGUE.id("threat.indicator.url.port");
const URL_QUERY: FieldId = CATALOGUE.id("threat.indicator.url.query");
const URL_SCHEME: FieldId = CATALOGUE.id("threat.indicator.url.scheme");
const URL_TOP_LEVEL: FieldId = CATALOGUE.id("threat.indicator.url.top_level_domain");
const URL_USERNAME: FieldId = CATALOGUE.id("threat.indicator.url.username");
const VULNERABILITY_ENUMERATION: FieldId = CATALOGUE.id("vulnerability.enumeration");
const VULNERABILITY_ID: FieldId = CATALOGUE.id("vulnerability.id");

/// What became of a value.
pub(crate) struct Indicator<'v> {
    /// `threat.indicator.type`
    pub(crate) kind: Option<&'static str>,
    /// `threat.indicator.name`
    pub(crate) name: Cow<'v, str>,
}

/// Sets the fields that hold `value`, by the rule of its attribute's type. An empty
/// value sets none.
pub(crate) fn set<'v>(
    known: &AttributeType,
    value: &'v str,
    to_ids: bool,
    options: &Options,
    leaves: &mut Leaves<'_>,
    problems: &mut Problems,
) -> Indicator<'v> {
    let mut setter = Setter {
        leaves,
        problems,
        kind: known.indicator,
        name: Cow::Borrowed(value),
    };
    if value.is_empty() {
        if matches!(known.rule, Rule::Link) && !to_ids {
            setter.kind = None;
        }
    } else {
        setter.value(known.rule, value, to_ids, options);
    }
    Indicator {
        kind: setter.kind,
        name: setter.name,
    }
}

struct Setter<'s, 'l, 'v> {
    leaves: &'s mut Leaves<'l>,
    problems: &'s mut Problems,
    kind: Option<&'static str>,
    name: Cow<'v, str>,
}

impl<'v> Setter<'_, '_, 'v> {
    fn value(&mut self, rule: Rule, value: &'v str, to_ids: bool, options: &Options) {
        match rule {
            // What the last two name is in the context.
            Rule::Raw | Rule::ThreatActor | Rule::MalwareType => {}
            Rule::Hash(rule) => self.hash(rule, value),
            Rule::FileNameAndHash(rule) => match value.rsplit_once('|') {
                Some((name, hash)) => {
                    self.file_name(name);
                    self.name = Cow::Borrowed(hash);
                    self.hash(rule, hash);
                }
                None => self.bad(FILE_NAME, "there is no `|` between file name and hash"),
            },
            Rule::Certificate(rule) => self.certificate(rule, value),
            Rule::RelatedHash(digits) => match hash::hex(value, digits) {
                Some(hash) => self.list(RELATED_HASH, &hash),
                None => self.bad(RELATED_HASH, "the value is not such a hash"),
            },
            Rule::FileName => self.file_name(value),
            Rule::MimeType => {
                let bare = value.split(';').next().unwrap_or_default().trim();
                self.leaves.string(FILE_MIME_TYPE, &lower(bare));
            }
            Rule::FileSize => {
                let size = value::size(value.trim());
                self.number(FILE_SIZE, size, "a size in bytes");
            }
            Rule::Ip => self.address_alone(value),
            Rule::IpAndPort => match values::split_port(value) {
                Some((ip, port)) => {
                    self.name = Cow::Borrowed(ip);
                    self.address_alone(ip);
                    self.port(port);
                }
                None => {
                    self.bad(PORT, "there is no `|` between address and port");
                    self.address_alone(value);
                }
            },
            Rule::Host => self.host_alone(value),
            Rule::DomainAndIp => match value.split_once('|') {
                Some((domain, ip)) => {
                    self.host_alone(domain);
                    if options.domain_ip_address && self.leaves.get(IP).is_none() {
                        self.address(ip);
                    }
                }
                None => {
                    self.bad(IP, "there is no `|` between domain and address");
                    self.host_alone(value);
                }
            },
            Rule::HostAndPort => match value.rsplit_once('|') {
                Some((host, port)) => {
                    self.host_alone(host);
                    self.port(port);
                }
                None => {
                    self.bad(PORT, "there is no `|` between host and port");
                    self.host_alone(value);
                }
            },
            Rule::Onion => self.onion(value),
            Rule::Email => {
                if !self.email(value) {
                    self.bad(EMAIL_ADDRESS, "the value is not an email address");
                }
            }
            Rule::PerhapsEmail => {
                self.email(value);
            }
            Rule::Url => self.url(value),
            Rule::Uri if value.starts_with('/') => {
                self.leaves.string(URL_ORIGINAL, value);
                self.leaves.string(URL_PATH, value);
            }
            Rule::Uri => self.url(value),
            Rule::Link => {
                self.leaves.string(REFERENCE, value);
                if to_ids {
                    self.url(value);
                } else {
                    self.kind = None;
                }
            }
            Rule::RegistryKey => self.registry(value),
            Rule::RegistryKeyAndData => match value.split_once('|') {
                Some((key, data)) => {
                    self.registry(key);
                    self.list(REGISTRY_DATA, data);
                }
                None => {
                    self.bad(REGISTRY_DATA, "there is no `|` between key and data");
                    self.registry(value);
                }
            },
            Rule::AsNumber => {
                let number = values::as_number(value).map(i64::from);
                self.number(AS_NUMBER, number, "the number of an autonomous system");
            }
            Rule::Port => self.port(value),
            Rule::Mac => match values::mac(value) {
                Some(mac) => self.leaves.string(MAC, &mac),
                None => self.bad(MAC, "the value is not a hardware address"),
            },
            Rule::Vulnerability => match values::cve(value) {
                Some(id) => {
                    self.leaves.string(VULNERABILITY_ID, &id);
                    self.leaves.string(VULNERABILITY_ENUMERATION, "CVE");
                }
                None => self.bad(VULNERABILITY_ID, "the value is not of the form CVE-yyyy-n"),
            },
            Rule::RelatedHost => self.list(RELATED_HOSTS, value),
            Rule::RelatedUser => self.list(RELATED_USER, value),
            Rule::RelatedUserLower => self.list(RELATED_USER, &lower(value.trim())),
        }
    }

    fn bad(&mut self, field: FieldId, text: &str) {
        self.problems.add(field, text);
    }

    fn list(&mut self, field: FieldId, text: &str) {
        self.leaves.set(field, |out| json::strings(out, [text]));
    }

    fn number(&mut self, field: FieldId, number: Option<i64>, expected: &str) {
        match number {
            Some(number) => self.leaves.integer(field, number),
            None => self
                .problems
                .add(field, format!("the value is not {expected}")),
        }
    }

    fn port(&mut self, port: &str) {
        self.number(PORT, values::port(port).map(i64::from), "a port");
    }

    fn hash(&mut self, rule: &HashRule, text: &'v str) {
        let Some(hash) = rule.form.read(text) else {
            self.bad(rule.field, "the value is not such a hash");
            return;
        };
        self.hash_fields(rule, &hash);
        self.name = hash;
    }

    fn certificate(&mut self, rule: &HashRule, value: &'v str) {
        if !value.contains(':') {
            return self.hash(rule, value);
        }
        let bare = value.replace(':', "");
        match rule.form.read(&bare) {
            Some(hash) => {
                self.hash_fields(rule, &hash);
                self.name = Cow::Owned(hash.into_owned());
            }
            None => self.bad(rule.field, "the value is not such a hash"),
        }
    }

    fn hash_fields(&mut self, rule: &HashRule, hash: &str) {
        for field in std::iter::once(rule.field).chain(rule.also) {
            self.leaves.string(field, hash);
        }
        if rule.related {
            self.list(RELATED_HASH, hash);
        }
    }

    fn file_name(&mut self, value: &str) {
        let name = value.rsplit(['/', '\\']).next().unwrap_or(value);
        if name.len() < value.len() {
            self.leaves.string(FILE_PATH, value);
        }
        if name.is_empty() {
            return;
        }
        self.leaves.string(FILE_NAME, name);
        if let Some((stem, extension)) = name.rsplit_once('.')
            && !stem.is_empty()
            && !extension.is_empty()
        {
            self.leaves.string(FILE_EXTENSION, extension);
        }
    }

    /// An address, a network or a range that is the indicator.
    fn address_alone(&mut self, text: &str) {
        let family = match text.trim().split_once('/') {
            Some((ip, _)) if Ip::read(text.trim()).family().is_none() => Ip::read(ip).family(),
            _ => Ip::read(text.trim()).family(),
        };
        self.kind = family.map(|family| match family {
            Family::V4 => "ipv4-addr",
            Family::V6 => "ipv6-addr",
        });
        self.address(text);
        if let Some(ip) = self.leaves.get(IP)
            && let Ok(ip) = std::str::from_utf8(ip)
        {
            self.name = Cow::Owned(ip.trim_matches('"').to_owned());
        }
    }

    /// Elasticsearch refuses a whole document for a network or a range in an `ip` field.
    fn address(&mut self, text: &str) {
        let text = text.trim();
        let bare = text
            .strip_suffix("/32")
            .filter(|ip| !ip.contains(':'))
            .or_else(|| text.strip_suffix("/128"))
            .unwrap_or(text);
        match bare.parse::<IpAddr>() {
            Ok(ip) => self.ip(ip),
            Err(_) => {
                if !matches!(Ip::read(text), Ip::Several(_)) {
                    self.bad(IP, "the value is not an IP address");
                }
            }
        }
    }

    fn ip(&mut self, ip: IpAddr) {
        let text = ip.to_string();
        self.leaves.string(IP, &text);
        self.list(RELATED_IP, &text);
    }

    /// A host that is the indicator; an address instead of a name is one of an address.
    fn host_alone(&mut self, text: &'v str) {
        match Host::read(text) {
            Some(Host::Ip(ip)) => {
                self.kind = Some(if ip.is_ipv4() {
                    "ipv4-addr"
                } else {
                    "ipv6-addr"
                });
                self.ip(ip);
                self.name = Cow::Owned(ip.to_string());
            }
            Some(Host::Name(name)) => {
                self.domain(&name);
                self.name = name;
            }
            None => {
                self.bad(URL_DOMAIN, "the value is not a host name");
                self.name = Cow::Borrowed(text);
            }
        }
    }

    fn domain(&mut self, name: &str) {
        self.leaves.string(URL_DOMAIN, name);
        self.list(RELATED_HOSTS, name);
        let suffix = values::suffix(name);
        #[cfg(feature = "public-suffix")]
        for (field, part) in [
            (REGISTERED_DOMAIN, suffix.registered),
            (SUBDOMAIN, suffix.subdomain),
        ] {
            if let Some(part) = part {
                self.leaves.string(field, part);
            }
        }
        if let Some(top_level) = suffix.top_level {
            self.leaves.string(URL_TOP_LEVEL, top_level);
        }
    }

    fn onion(&mut self, value: &'v str) {
        match Host::read(value) {
            Some(Host::Name(name)) if values::is_onion(&name) => {
                self.leaves.string(URL_DOMAIN, &name);
                self.leaves.string(URL_TOP_LEVEL, "onion");
                self.list(RELATED_HOSTS, &name);
                self.name = name;
            }
            _ => self.bad(URL_DOMAIN, "the value is not the name of a Tor service"),
        }
    }

    fn email(&mut self, value: &'v str) -> bool {
        let Some(address) = values::email(value) else {
            return false;
        };
        self.leaves.string(EMAIL_ADDRESS, &address);
        self.name = address;
        true
    }

    fn registry(&mut self, text: &str) {
        let registry = values::registry(text);
        self.leaves.string(REGISTRY_PATH, &registry.path);
        if let Some(hive) = registry.hive {
            self.leaves.string(REGISTRY_HIVE, hive);
        }
        if let Some(key) = registry.key {
            self.leaves.string(REGISTRY_KEY, &key);
        }
    }

    fn url(&mut self, value: &str) {
        self.leaves.string(URL_ORIGINAL, value);
        let url = Url::split(value);
        let Some(scheme) = url.scheme else {
            self.leaves.string(URL_FULL, value);
            let end = value.find(['/', '?', '#', ':']).unwrap_or(value.len());
            let first = value.get(..end).unwrap_or_default();
            if first.contains('.')
                && let Some(host) = Host::read(first)
            {
                self.url_host(host, first);
            }
            return;
        };
        self.leaves.string(URL_SCHEME, &lower(scheme));
        self.leaves
            .string(URL_FULL, &full(value, scheme, url.domain));
        if let Some(domain) = url.domain {
            match Host::read(domain) {
                Some(host) => self.url_host(host, domain),
                None => self.bad(URL_DOMAIN, "the host of the URL is none"),
            }
        }
        for (field, part) in [
            (
                URL_PATH,
                url.path.as_deref().filter(|path| !path.is_empty()),
            ),
            (URL_EXTENSION, url.extension()),
            (URL_QUERY, url.query.as_deref()),
            (URL_FRAGMENT, url.fragment.as_deref()),
            (URL_USERNAME, url.username.as_deref()),
            (URL_PASSWORD, url.password.as_deref()),
        ] {
            if let Some(part) = part {
                self.leaves.string(field, part);
            }
        }
        match url.port {
            Some(Ok(port)) => self.leaves.integer(URL_PORT, port.into()),
            Some(Err(_)) => self.bad(URL_PORT, "the port of the URL is none"),
            None => {}
        }
    }

    fn url_host(&mut self, host: Host<'_>, text: &str) {
        match host {
            Host::Ip(ip) => {
                self.leaves.string(URL_DOMAIN, &lower(text));
                self.list(RELATED_IP, &ip.to_string());
            }
            Host::Name(name) => self.domain(&name),
        }
    }
}

#[cfg(feature = "public-suffix")]
const REGISTERED_DOMAIN: FieldId = CATALOGUE.id("threat.indicator.url.registered_domain");
#[cfg(feature = "public-suffix")]
const SUBDOMAIN: FieldId = CATALOGUE.id("threat.indicator.url.subdomain");

/// The URL with scheme and host in lower case and nothing else changed.
fn full<'v>(value: &'v str, scheme: &str, domain: Option<&str>) -> Cow<'v, str> {
    let domain = domain.unwrap_or_default();
    let has_upper = |text: &str| text.chars().any(char::is_uppercase);
    if !has_upper(scheme) && !has_upper(domain) {
        return Cow::Borrowed(value);
    }
    // The host is a part of the value: its place is how far its start is from the value's.
    let start = (domain.as_ptr() as usize).wrapping_sub(value.as_ptr() as usize);
    let host = value
        .get(start..)
        .and_then(|rest| rest.get(..domain.len()))
        .filter(|host| *host == domain);
    let rest = value.get(scheme.len()..).unwrap_or_default();
    let mut out = scheme.to_lowercase();
    match host.and_then(|host| {
        let between = value.get(scheme.len()..start)?;
        Some((between, host, value.get(start + domain.len()..)?))
    }) {
        Some((between, host, after)) if !domain.is_empty() => {
            out.push_str(between);
            out.push_str(&host.to_lowercase());
            out.push_str(after);
        }
        _ => out.push_str(rest),
    }
    Cow::Owned(out)
}
