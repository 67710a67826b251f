//! What went wrong with an Elasticsearch, and what can be done about it.

use std::time::Duration;

use pipeline::{Class, Classify};

/// The wait before credentials that were refused at run time are tried again.
const REFUSED_WAIT: Duration = Duration::from_secs(30);

/// Why documents were not taken. No text in here holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElasticError {
    /// Options an output cannot be made of.
    #[error("{reason}")]
    Options {
        /// What is wrong, and what to do.
        reason: String,
    },
    /// No connection, or it broke, or nothing came in time.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// The node.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The certificate of the other side, or ours, was not accepted.
    #[error("no trusted TLS connection to {url}: {reason}")]
    Tls {
        /// The node.
        url: String,
        /// What the TLS library said.
        reason: String,
    },
    /// 401.
    #[error("the credentials were refused (401): {reason}")]
    Credentials {
        /// What the server said.
        reason: String,
    },
    /// 403.
    #[error("the credentials are not allowed to do this (403): {reason}")]
    Forbidden {
        /// What the server said.
        reason: String,
    },
    /// 429 or 5xx, more often than was tried.
    #[error("the server is busy or failing ({status}): {reason}")]
    Busy {
        /// The status.
        status: u16,
        /// What the server said.
        reason: String,
        /// The shortest wait it asked for.
        after: Option<Duration>,
    },
    /// An answer that is not what it should be. What it was about may be written or not.
    #[error("the answer cannot be read: {reason}; is this the address of an Elasticsearch?")]
    Unreadable {
        /// What is wrong with it.
        reason: String,
    },
    /// A status that no document is to blame for.
    #[error("the server refused the request ({status}): {reason}")]
    Refused {
        /// The status.
        status: u16,
        /// What the server said.
        reason: String,
    },
    /// The write alias or the data stream is missing.
    #[error("{index} is missing: run `misp-ecs setup elasticsearch`")]
    NoIndex {
        /// Its name.
        index: String,
    },
    /// A template that is not there.
    #[error("the index template {name} is missing: run `misp-ecs setup elasticsearch{}`",
        of_mapping(mapping.as_deref()))]
    NoTemplate {
        /// Its name.
        name: String,
        /// The mapping that it is for, where known.
        mapping: Option<String>,
    },
    /// An index that lacks an alias.
    #[error("the index {index} lacks the alias {alias}: run `misp-ecs setup elasticsearch`")]
    NoAlias {
        /// The index.
        index: String,
        /// The alias.
        alias: String,
    },
    /// An index has the name that the write alias, or the data stream, should have.
    #[error(
        "{name} is an index that `misp-ecs setup` did not make, or one of an earlier version: \
         `misp-ecs setup elasticsearch --recreate` deletes it and makes the right one, and the \
         next poll sends everything again"
    )]
    NotAnAlias {
        /// The name.
        name: String,
    },
    /// An index whose fields are not those of its template.
    #[error(
        "the index {index} was not made from its template: the field `{field}` is {found} instead \
         of {wanted}{}; {repair}", and_more(*more)
    )]
    WrongFields {
        /// The index.
        index: String,
        /// The first field.
        field: String,
        /// What the index has.
        found: String,
        /// What the template has.
        wanted: String,
        /// How many other fields are wrong.
        more: usize,
        /// The one command that repairs it.
        repair: &'static str,
    },
    /// An index that lacks fields of its template.
    #[error(
        "the index {index} lacks {count} fields of its template, such as `{field}`: run \
        `misp-ecs setup elasticsearch`"
    )]
    MissingFields {
        /// The index.
        index: String,
        /// The first field.
        field: String,
        /// How many.
        count: usize,
    },
    /// A template that somebody else made.
    #[error(
        "there is a template {name} that misp-ecs did not make: rename or delete it, or set \
         another `index` or `namespace`"
    )]
    ForeignTemplate {
        /// Its name.
        name: String,
    },
    /// A server too old.
    #[error("{product} {version} is too old: Elasticsearch 8 or OpenSearch 2 is needed")]
    Version {
        /// Which of the two.
        product: &'static str,
        /// Its version.
        version: String,
    },
    /// Too much was refused for it to be the documents' fault.
    #[error(
        "{rejected} of {total} documents were refused, which looks like the wrong mapping or \
         index; nothing goes to the dead letters; the first: {first}"
    )]
    Breaker {
        /// How many.
        rejected: usize,
        /// Of how many.
        total: usize,
        /// The first reason.
        first: String,
    },
}

fn of_mapping(mapping: Option<&str>) -> String {
    mapping.map_or_else(String::new, |mapping| format!(" --mapping {mapping}"))
}

fn and_more(more: usize) -> String {
    match more {
        0 => String::new(),
        1 => " (and 1 more field)".to_owned(),
        more => format!(" (and {more} more fields)"),
    }
}

impl Classify for ElasticError {
    fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. } | Self::Unreadable { .. } => Class::Transient { after: None },
            Self::Busy { after, .. } => Class::Transient { after: *after },
            Self::Options { .. }
            | Self::Tls { .. }
            | Self::Credentials { .. }
            | Self::Forbidden { .. }
            | Self::Refused { .. }
            | Self::NoIndex { .. }
            | Self::NoTemplate { .. }
            | Self::NoAlias { .. }
            | Self::NotAnAlias { .. }
            | Self::WrongFields { .. }
            | Self::MissingFields { .. }
            | Self::ForeignTemplate { .. }
            | Self::Version { .. }
            | Self::Breaker { .. } => Class::Fatal,
        }
    }
}

impl ElasticError {
    /// May the same request succeed in a moment, perhaps at another node?
    pub(super) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Busy { .. }
                | Self::Unreadable { .. }
                | Self::Tls { .. }
        )
    }
}

/// An error in the middle of the work: what is fatal at the start may be put right by somebody
/// while the host waits.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct AtWork(pub(super) ElasticError);

impl Classify for AtWork {
    fn class(&self) -> Class {
        match self.0.class() {
            Class::Fatal if !matches!(self.0, ElasticError::Options { .. }) => Class::Transient {
                after: Some(REFUSED_WAIT),
            },
            class => class,
        }
    }
}
