//! The settings of this mapping.

use mapping::SettingsError;
use mapping::settings::{Kind, Setting, Settings};

macro_rules! settings {
    ($($name:ident: $key:literal, $kind:expr, $about:literal;)*) => {
        $(const $name: Setting = Setting { name: $key, kind: $kind, about: $about };)*
        const KNOWN: &[Setting] = &[$($name),*];
    };
}

settings! {
    PRESERVE: "preserve_original_event", Kind::Flag(false),
        "Keep the event with only this attribute, as JSON text, in event.original. What could not be mapped whole has it always.";
    ONLY_TO_IDS: "only_to_ids", Kind::Flag(false),
        "Withdraw attributes that are not meant for detection (to_ids false).";
    DROP_DECAYED: "drop_decayed", Kind::Flag(false),
        "Withdraw attributes that at least half of their decaying models call decayed. Asks MISP for decay scores.";
    EXPIRATION: "ioc_expiration_duration", Kind::Duration,
        "How long an indicator is valid after it was last changed or last seen, such as 90d.";
    TIMESTAMP: "timestamp", Kind::Choice(&["attribute", "publish", "observed"]),
        "What @timestamp is: the last change of the attribute, the last publication of its event, or the time of mapping. Prebuilt detection rules read indicators of the last 30 days only.";
    KEEP_PERSONAL: "keep_personal", Kind::Flag(false),
        "Write the values of personal types (names, passports, bank accounts, cookies..) instead of [redacted]. Private keys are redacted always.";
    LOCAL_TAGS: "local_tags", Kind::Flag(false),
        "Count tags and galaxies that are local to the instance.";
    CREATOR_EMAIL: "event_creator_email", Kind::Flag(false),
        "Write the address of the event's creator to user.email.";
    SCANNER_STATS: "scanner_stats_from_analysis", Kind::Flag(false),
        "Write the event's analysis to threat.indicator.scanner_stats, as Elastic's integration does; the field counts engines.";
    DOMAIN_IP_ADDRESS: "domain_ip_address", Kind::Flag(true),
        "Write the address of domain|ip to threat.indicator.ip. Off, since parked domains and sinkholes share addresses, only the domain is the indicator.";
    MALWARE_TYPE: "malware_type_as_software", Kind::Flag(false),
        "Write values of malware-type, free text, to threat.software.name.";
    DECAY_SCORE: "include_decay_score", Kind::Flag(false),
        "Ask MISP for decay scores.";
    WARNINGLISTS: "include_warninglist_hits", Kind::Flag(false),
        "Ask MISP for hits on warninglists.";
    SIGHTINGS: "include_sightings", Kind::Flag(false),
        "Ask MISP for sightings of attributes.";
    CREATED: "event_created", Kind::Flag(false),
        "Write the time of mapping to event.created.";
    TAGS: "tags", Kind::Texts,
        "Tags to add to every document after MISP's own.";
}

/// What `@timestamp` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The last change of the attribute.
    Attribute,
    /// The last publication of its event.
    Publish,
    /// When it was mapped.
    Observed,
}

/// The settings, read.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) preserve_original: bool,
    pub(crate) only_to_ids: bool,
    pub(crate) drop_decayed: bool,
    pub(crate) expiration_ms: Option<i64>,
    pub(crate) clock: Clock,
    pub(crate) keep_personal: bool,
    pub(crate) local_tags: bool,
    pub(crate) creator_email: bool,
    pub(crate) scanner_stats: bool,
    pub(crate) domain_ip_address: bool,
    pub(crate) malware_type: bool,
    pub(crate) decay_score: bool,
    pub(crate) warninglists: bool,
    pub(crate) sightings: bool,
    pub(crate) created: bool,
    pub(crate) tags: Vec<String>,
}

impl Options {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, SettingsError> {
        let settings = Settings::read(bytes, KNOWN)?;
        Ok(Self {
            preserve_original: settings.flag(&PRESERVE),
            only_to_ids: settings.flag(&ONLY_TO_IDS),
            drop_decayed: settings.flag(&DROP_DECAYED),
            expiration_ms: settings.duration_ms(&EXPIRATION),
            clock: match settings.choice(&TIMESTAMP) {
                "publish" => Clock::Publish,
                "observed" => Clock::Observed,
                _ => Clock::Attribute,
            },
            keep_personal: settings.flag(&KEEP_PERSONAL),
            local_tags: settings.flag(&LOCAL_TAGS),
            creator_email: settings.flag(&CREATOR_EMAIL),
            scanner_stats: settings.flag(&SCANNER_STATS),
            domain_ip_address: settings.flag(&DOMAIN_IP_ADDRESS),
            malware_type: settings.flag(&MALWARE_TYPE),
            decay_score: settings.flag(&DECAY_SCORE),
            warninglists: settings.flag(&WARNINGLISTS),
            sightings: settings.flag(&SIGHTINGS),
            created: settings.flag(&CREATED),
            tags: settings.texts(&TAGS),
        })
    }

    /// Can a document with these settings hold the field?
    pub(crate) fn writes(&self, field: &str) -> bool {
        match field {
            "event.created" => self.created,
            "threat.indicator.scanner_stats" => self.scanner_stats,
            "user.email" | "user.roles" => self.creator_email,
            _ => true,
        }
    }

    /// The search flags that they need.
    pub(crate) fn request(&self) -> String {
        let mut flags = r#"{"noEventReports":1,"noShadowAttributes":1"#.to_owned();
        for (on, flag) in [
            (self.decay_score || self.drop_decayed, "includeDecayScore"),
            (self.warninglists, "includeWarninglistHits"),
            (self.sightings, "includeSightings"),
        ] {
            if on {
                flags.push_str(",\"");
                flags.push_str(flag);
                flags.push_str("\":1");
            }
        }
        flags.push('}');
        flags
    }
}

/// A JSON Schema of the settings.
pub(crate) fn schema() -> String {
    mapping::settings::schema(KNOWN)
}
