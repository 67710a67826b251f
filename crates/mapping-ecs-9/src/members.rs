//! Members of MISP's JSON that are copied to a field of their own name.

use mapping::members;
use mapping::members::{Kind, Member};

use crate::fields::CATALOGUE;

/// Of an event.
pub(crate) const EVENT: &[Member] = members! { CATALOGUE, "misp.event.":
    Integer "attribute_count",
    Day "date",
    Flag "disable_correlation",
    Integer "distribution",
    Text "extends_uuid",
    Text "id",
    Text "info",
    Flag "locked",
    Text "org_id",
    Text "orgc_id",
    Flag "proposal_email_lock",
    Time "publish_timestamp",
    Flag "published",
    Text "sharing_group_id",
    Time "sighting_timestamp",
    Integer "threat_level_id",
    Time "timestamp",
    Text "uuid",
};

/// Of an event's `Orgc`.
pub(crate) const ORGC: &[Member] = members! { CATALOGUE, "misp.orgc.":
    Text "id", Flag "local", Text "name", Text "uuid",
};

/// Of an event's `Org`.
pub(crate) const ORG: &[Member] = members! { CATALOGUE, "misp.org.":
    Text "id", Flag "local", Text "name", Text "uuid",
};

macro_rules! attribute {
    ($prefix:literal) => {
        members! { CATALOGUE, $prefix:
            Text "category",
            Text "comment",
            Flag "deleted",
            Flag "disable_correlation",
            Integer "distribution",
            Text "event_id",
            Text "event_uuid",
            Time "first_seen",
            Text "id",
            Time "last_seen",
            Text "object_id",
            Text "object_relation",
            Text "sharing_group_id",
            Time "timestamp",
            Flag "to_ids",
            Text "type",
            Text "uuid",
            Text "value",
        }
    };
}

/// Of an attribute.
pub(crate) const ATTRIBUTE: &[Member] = attribute!("misp.attribute.");

/// Of the event-level attribute beside a pre-split object.
pub(crate) const BESIDE: &[Member] = attribute!("misp.context.attribute.");

/// Of the other attributes of an object.
pub(crate) const SIBLINGS: &[Member] = members! { CATALOGUE, "misp.context.attribute.":
    Text "object_relation", Flag "to_ids", Text "type", Text "uuid", Text "value",
};

/// Of an object.
pub(crate) const OBJECT: &[Member] = members! { CATALOGUE, "misp.object.":
    Text "comment",
    Flag "deleted",
    Text "description",
    Integer "distribution",
    Text "event_id",
    Time "first_seen",
    Text "id",
    Time "last_seen",
    Text "name",
    Text "sharing_group_id",
    Text "template_uuid",
    Text "template_version",
    Time "timestamp",
    Text "uuid",
};

/// The one member of an object whose key is no field name.
pub(crate) const META_CATEGORY: &[Member] = &[Member {
    key: "meta-category",
    prefix: misp_model::prefix("meta-category"),
    field: CATALOGUE.id("misp.object.meta_category"),
    kind: Kind::Text,
}];

/// Of the hits on warninglists.
pub(crate) const WARNINGS: &[Member] = members! { CATALOGUE, "misp.warnings.":
    Text "match", Text "warninglist_category", Text "warninglist_id", Text "warninglist_name",
};

/// Of the scores by decaying models.
pub(crate) const DECAY: &[Member] = members! { CATALOGUE, "misp.attribute.decay_score.":
    Number "base_score", Flag "decayed", Number "score",
};

/// Of the decaying models.
pub(crate) const DECAYING_MODEL: &[Member] = members! { CATALOGUE, "misp.attribute.decay_score.DecayingModel.":
    Text "id", Text "name",
};
