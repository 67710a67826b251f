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

/// Names that cut an event's list of attributes on both searches, or add to each attribute; so
/// do those that begin with `include`.
pub(super) const OF_ATTRIBUTES: &[&str] = &[
    "to_ids",
    "enforceWarninglist",
    "withAttachments",
    "decayingModel",
    "modelOverrides",
];
