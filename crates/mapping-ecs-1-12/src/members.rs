//! Members of MISP's JSON that are copied to a field of their own name.

use mapping::members;
use mapping::members::Member;

use crate::fields::CATALOGUE;

/// Of an event.
pub(crate) const EVENT: &[Member] = members! { CATALOGUE, "misp.":
    Integer "attribute_count",
    Day "date",
    Flag "disable_correlation",
    Text "distribution",
    Text "extends_uuid",
    Text "id",
    Text "info",
    Flag "locked",
    Text "org_id",
    Text "orgc_id",
    Flag "proposal_email_lock",
    Epoch "publish_timestamp",
    Flag "published",
    Text "sharing_group_id",
    Integer "threat_level_id",
    Text "uuid",
};

/// Of an event, with the setting `keep_timestamp`.
pub(crate) const EVENT_TIMESTAMP: &[Member] = members! { CATALOGUE, "misp.": Epoch "timestamp", };

/// Of an event's `Orgc`.
pub(crate) const ORGC: &[Member] = members! { CATALOGUE, "misp.orgc.":
    Text "id", Flag "local", Text "name", Text "uuid",
};

/// Of an event's `Org`, with the setting `keep_org`.
pub(crate) const ORG: &[Member] = members! { CATALOGUE, "misp.org.":
    Text "id", Flag "local", Text "name", Text "uuid",
};

/// Of an attribute.
pub(crate) const ATTRIBUTE: &[Member] = members! { CATALOGUE, "misp.attribute.":
    Text "category",
    Text "comment",
    Flag "deleted",
    Flag "disable_correlation",
    Integer "distribution",
    Text "event_id",
    Text "id",
    Text "object_id",
    Text "object_relation",
    Text "sharing_group_id",
    Epoch "timestamp",
    Flag "to_ids",
    Text "type",
    Text "uuid",
    Text "value",
};

/// Of the attributes beside an object's attribute.
pub(crate) const CONTEXT: &[Member] = members! { CATALOGUE, "misp.context.attribute.":
    Text "category",
    Text "comment",
    Flag "deleted",
    Flag "disable_correlation",
    Integer "distribution",
    Text "event_id",
    Text "first_seen",
    Text "id",
    Text "last_seen",
    Text "object_id",
    Text "object_relation",
    Text "sharing_group_id",
    Epoch "timestamp",
    Flag "to_ids",
    Text "type",
    Text "uuid",
    Text "value",
};
