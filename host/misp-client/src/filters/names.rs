//! The names `events/restSearch` knows, read from MISP's source (RestSearchComponent, 2.5.1).

/// Every name it takes. Others it drops without a word.
#[rustfmt::skip]
pub(super) const KNOWN: &[&str] = &[
    "returnFormat", "value", "type", "category", "org", "tags", "searchall", "from", "to", "last",
    "eventid", "withAttachments", "metadata", "uuid", "publish_timestamp", "timestamp",
    "event_timestamp", "event_tags", "published", "enforceWarninglist", "sgReferenceOnly", "limit",
    "page", "requested_attributes", "includeContext", "headerless", "includeWarninglistHits",
    "attackGalaxy", "to_ids", "deleted", "excludeLocalTags", "date", "includeSightingdb", "tag",
    "object_relation", "threat_level_id", "eventinfo", "sharinggroup", "idList", "includeAllTags",
    "includeAttachments", "event_uuid", "distribution", "sharing_group_id", "disableSiteAdmin",
    "flatten", "blockedAttributeTags", "eventsExtendingUuid", "extended", "extensionList",
    "excludeGalaxy", "includeAnalystData", "includeRelatedTags", "includeDecayScore",
    "includeScoresOnEvent", "includeFeedCorrelations", "includeServerCorrelations",
    "noEventReports", "noShadowAttributes", "order", "protected", "includeGranularCorrelations",
    "policy", "walled_garden", "ns", "email", "serial", "refresh", "retry", "expiry",
    "minimum_ttl", "ttl", "org.sector", "org.local", "org.nationality",
];

/// Names it does not take though they are often sent: attributes/restSearch takes them.
#[rustfmt::skip]
pub(super) const IGNORED: &[&str] = &[
    "attribute_timestamp", "first_seen", "last_seen", "decayingModel", "excludeDecayed", "score",
    "includeSightings", "includeCorrelations", "includeProposals", "includeEventTags",
    "includeEventUuid", "analysis", "object_name",
];

/// Names the walk sets itself, and `last`, which is another name of `publish_timestamp`.
#[rustfmt::skip]
pub(super) const WALKS: &[&str] = &[
    "returnFormat", "page", "limit", "order", "publish_timestamp", "last",
];

/// Names where a boolean does not mean what it says and an integer does.
#[rustfmt::skip]
pub(super) const INTEGERS: &[&str] = &["published", "to_ids", "deleted"];

/// Names that hold a time.
#[rustfmt::skip]
pub(super) const TIMES: &[&str] = &["timestamp", "event_timestamp"];

/// The other names of the clock of a walk by `timestamp`, which sets them itself.
pub(super) const EVENT_CLOCK: &[&str] = &["timestamp", "event_timestamp"];

/// Names that say what an answer looks like, and not what is found; so do those that begin with
/// `include`.
#[rustfmt::skip]
pub(super) const SHAPES: &[&str] = &[
    "withAttachments", "metadata", "headerless", "requested_attributes", "flatten", "attackGalaxy",
    "excludeGalaxy", "excludeLocalTags", "sgReferenceOnly", "noEventReports", "noShadowAttributes",
    "extensionList",
];

/// Every name that `attributes/restSearch` takes.
#[rustfmt::skip]
pub(super) const KNOWN_TO_ATTRIBUTES: &[&str] = &[
    "returnFormat", "value", "value1", "value2", "type", "category", "org", "tags", "from", "to",
    "last", "eventid", "withAttachments", "uuid", "publish_timestamp", "published", "timestamp",
    "enforceWarninglist", "to_ids", "deleted", "includeEventUuid", "event_timestamp",
    "threat_level_id", "includeEventTags", "includeProposals", "limit", "page",
    "requested_attributes", "includeContext", "headerless", "includeWarninglistHits",
    "attackGalaxy", "object_relation", "includeSightings", "includeCorrelations",
    "includeDecayScore", "decayingModel", "excludeDecayed", "modelOverrides", "includeFullModel",
    "score", "attribute_timestamp", "first_seen", "last_seen", "eventinfo", "sharinggroup",
    "allow_proposal_blocking", "flatten", "includeAllTags", "includeAttributeUuid",
    "includeGalaxy", "order",
];

/// Names that select attributes on `attributes/restSearch`. On `events/restSearch` they select
/// events by their attributes, or nothing.
#[rustfmt::skip]
pub(super) const SELECT_ATTRIBUTES: &[&str] = &[
    "value", "value1", "value2", "type", "category", "tags", "uuid", "timestamp",
    "attribute_timestamp", "first_seen", "last_seen", "object_relation", "excludeDecayed",
    "score", "allow_proposal_blocking",
];

/// Names that cut an event's list of attributes on both searches, or add to each attribute; so
/// do those that begin with `include`.
pub(super) const OF_ATTRIBUTES: &[&str] = &[
    "to_ids",
    "enforceWarninglist",
    "deleted",
    "withAttachments",
    "decayingModel",
    "modelOverrides",
];

/// Those of them that select attributes.
pub(super) const CUT: &[&str] = &["to_ids", "enforceWarninglist"];
