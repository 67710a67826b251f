//! `threat.indicator.type` and the fields that hold an attribute's value.

use ecs_model::{FieldId, Leaves};
use mapping::problems::Problems;
use mapping::url::Url;
use mapping::value::{self, Family, Ip};

use crate::fields::CATALOGUE;
use crate::types::Rule;

const AS_NUMBER: FieldId = CATALOGUE.id("threat.indicator.as.number");
const EMAIL_ADDRESS: FieldId = CATALOGUE.id("threat.indicator.email.address");
const FILE_NAME: FieldId = CATALOGUE.id("threat.indicator.file.name");
const FILE_SIZE: FieldId = CATALOGUE.id("threat.indicator.file.size");
const IP: FieldId = CATALOGUE.id("threat.indicator.ip");
const PORT: FieldId = CATALOGUE.id("threat.indicator.port");
const REGISTRY_KEY: FieldId = CATALOGUE.id("threat.indicator.registry.key");
const REGISTRY_VALUE: FieldId = CATALOGUE.id("threat.indicator.registry.value");
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
const URL_USERNAME: FieldId = CATALOGUE.id("threat.indicator.url.username");

/// What became of a value.
pub(crate) struct Indicator {
    /// `threat.indicator.type`
    pub(crate) kind: &'static str,
    /// Do the indicator's fields hold the value, to the last character?
    pub(crate) holds_value: bool,
}

/// Sets the fields that hold `value`, by the rule of its attribute's type. An empty
/// value sets none.
pub(crate) fn set(
    rule: Rule,
    value: &str,
    leaves: &mut Leaves<'_>,
    problems: &mut Problems,
) -> Indicator {
    let mut set = Setter { leaves, problems };
    let holds_value = !value.is_empty() && set.value(rule, value);
    Indicator {
        kind: kind(rule, value),
        holds_value,
    }
}

fn kind(rule: Rule, value: &str) -> &'static str {
    match rule {
        Rule::Hash(_) | Rule::FileName | Rule::FileNameAndHash(_) | Rule::FileSize => "file",
        Rule::Url | Rule::Uri => "url",
        Rule::Domain | Rule::DomainAndIp => "domain-name",
        Rule::Ip => ip_kind(value),
        Rule::IpAndPort => ip_kind(value.rsplit_once('|').map_or(value, |(ip, _)| ip)),
        Rule::EmailAddress => "email-addr",
        Rule::EmailPart => "email-message",
        Rule::RegistryKey | Rule::RegistryKeyAndValue => "windows-registry-key",
        Rule::AsNumber => "autonomous-system",
        Rule::Mac => "mac-addr",
        Rule::Unknown => "unknown",
    }
}

fn ip_kind(ip: &str) -> &'static str {
    match Ip::read(ip.trim()).family() {
        Some(Family::V4) => "ipv4-addr",
        Some(Family::V6) => "ipv6-addr",
        None => "unknown",
    }
}

struct Setter<'s, 'l> {
    leaves: &'s mut Leaves<'l>,
    problems: &'s mut Problems,
}

impl Setter<'_, '_> {
    /// Says whether the fields hold the whole value.
    fn value(&mut self, rule: Rule, value: &str) -> bool {
        match rule {
            Rule::Hash(field) => self.text(field, value),
            Rule::FileName => self.text(FILE_NAME, value),
            Rule::FileNameAndHash(field) => self.file_name_and_hash(value, field),
            Rule::FileSize => self.number(FILE_SIZE, value, value::size(value), "a size in bytes"),
            Rule::Url => self.url(value, true),
            Rule::Uri => self.url(value, false),
            Rule::Domain => self.text(URL_DOMAIN, value),
            Rule::DomainAndIp => match value.split_once('|') {
                Some((domain, ip)) => self.text(URL_DOMAIN, domain) & self.ip(ip),
                None => {
                    self.problems
                        .add(IP, "there is no `|` between domain and address");
                    self.text(URL_DOMAIN, value);
                    false
                }
            },
            Rule::Ip => self.ip(value),
            Rule::IpAndPort => match value.rsplit_once('|') {
                Some((ip, port)) => self.ip(ip) & self.port(port),
                None => {
                    self.problems
                        .add(PORT, "there is no `|` between address and port");
                    self.ip(value);
                    false
                }
            },
            Rule::EmailAddress => self.text(EMAIL_ADDRESS, value),
            Rule::RegistryKey => self.text(REGISTRY_KEY, value),
            Rule::RegistryKeyAndValue => match value.split_once('|') {
                Some((key, value)) => {
                    self.text(REGISTRY_KEY, key) & self.text(REGISTRY_VALUE, value)
                }
                None => {
                    self.problems
                        .add(REGISTRY_VALUE, "there is no `|` between key and value");
                    self.text(REGISTRY_KEY, value);
                    false
                }
            },
            Rule::AsNumber => {
                let number = value::as_number(value.trim()).map(i64::from);
                let bare = value.strip_prefix("AS").unwrap_or(value);
                self.number(
                    AS_NUMBER,
                    bare,
                    number,
                    "the number of an autonomous system",
                )
            }
            Rule::EmailPart | Rule::Mac | Rule::Unknown => false,
        }
    }

    fn text(&mut self, field: FieldId, text: &str) -> bool {
        self.leaves.string(field, text);
        true
    }

    /// `number` is what was read from `text`; one that does not give `text` back, as
    /// `007` does not, sets the field, and the value stays beside it.
    fn number(&mut self, field: FieldId, text: &str, number: Option<i64>, expected: &str) -> bool {
        let Some(number) = number else {
            self.problems
                .add(field, format!("the value is not {expected}"));
            return false;
        };
        self.leaves.integer(field, number);
        number.to_string() == text
    }

    fn port(&mut self, port: &str) -> bool {
        self.number(
            PORT,
            port,
            value::port(port.trim()).map(i64::from),
            "a port",
        )
    }

    /// Elasticsearch refuses a whole document for a network or a range in an `ip` field.
    fn ip(&mut self, text: &str) -> bool {
        let ip = text.trim();
        match Ip::read(ip) {
            Ip::Address(_) => self.text(IP, ip) && ip == text,
            Ip::Several(_) => false,
            Ip::Invalid(_) => {
                self.problems.add(IP, "the value is not an IP address");
                false
            }
        }
    }

    fn file_name_and_hash(&mut self, value: &str, field: Option<FieldId>) -> bool {
        let Some((name, hash)) = value.rsplit_once('|') else {
            self.problems
                .add(FILE_NAME, "there is no `|` between file name and hash");
            return false;
        };
        self.text(FILE_NAME, name);
        field.is_some_and(|field| self.text(field, hash))
    }

    fn url(&mut self, value: &str, full: bool) -> bool {
        let url = Url::split(value);
        let relative = url.is_relative();
        if full || !relative {
            self.text(URL_FULL, value);
        }
        let parts = [
            (URL_SCHEME, url.scheme),
            (URL_DOMAIN, url.domain),
            (URL_PATH, url.path.as_deref()),
            (URL_EXTENSION, url.extension().filter(|_| full || !relative)),
            (URL_QUERY, url.query.as_deref()),
            (URL_FRAGMENT, url.fragment.as_deref()),
            (URL_USERNAME, url.username.as_deref()),
            (URL_PASSWORD, url.password.as_deref()),
        ];
        for (field, part) in parts {
            if let Some(part) = part {
                self.text(field, part);
            }
        }
        match url.port {
            Some(Ok(port)) => self.leaves.integer(URL_PORT, port.into()),
            Some(Err(port)) => self
                .problems
                .add(URL_PORT, format!("`{port}` is not a port")),
            None => {}
        }
        self.text(URL_ORIGINAL, value)
    }
}
