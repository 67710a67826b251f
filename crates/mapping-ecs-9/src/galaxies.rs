//! Galaxies: techniques, groups and software.

use misp_model::{Json, Object};

use crate::unique::{Keyed, Unique};

/// A cluster of the `Galaxy` lists.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cluster {
    /// The name of its tag.
    pub(crate) tag: String,
    /// The type of its galaxy.
    pub(crate) galaxy: String,
    /// Its name.
    pub(crate) value: String,
    external_id: Option<String>,
    synonyms: Vec<String>,
    reference: Option<String>,
}

/// The clusters of an event or attribute; local ones only where they count.
pub(crate) fn clusters(holder: &Object<'_>, local: bool) -> Vec<Cluster> {
    let galaxies = list(holder, "Galaxy").iter().filter_map(Json::as_object);
    galaxies
        .flat_map(|galaxy| list(galaxy, "GalaxyCluster"))
        .filter_map(Json::as_object)
        .filter(|cluster| local || cluster.get("local").and_then(Json::boolean) != Some(true))
        .filter_map(Cluster::read)
        .collect()
}

fn list<'j, 'a>(object: &'j Object<'a>, key: &str) -> &'j [Json<'a>] {
    object.get(key).and_then(Json::as_array).unwrap_or_default()
}

impl Cluster {
    fn read(cluster: &Object<'_>) -> Option<Self> {
        let text = |key| cluster.some(key).and_then(Json::text);
        let meta = cluster.get("meta").and_then(Json::as_object);
        // A list of strings, but one string in old data.
        let all = |key| -> Vec<String> {
            match meta.and_then(|meta| meta.get(key)) {
                Some(Json::Array(items)) => items
                    .iter()
                    .filter_map(Json::text)
                    .map(Into::into)
                    .collect(),
                Some(one) => one.text().map(Into::into).into_iter().collect(),
                None => Vec::new(),
            }
        };
        Some(Self {
            tag: text("tag_name")?.into(),
            galaxy: text("type")?.into(),
            value: text("value")?.into(),
            external_id: all("external_id").into_iter().next(),
            synonyms: all("synonyms"),
            reference: all("refs").into_iter().next(),
        })
    }
}

/// A group or a piece of software.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// How good its galaxy is: the lowest is taken.
    pub(crate) rank: usize,
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) alias: Vec<String>,
    pub(crate) reference: Option<String>,
    /// `Malware` or `Tool`.
    pub(crate) kind: Option<&'static str>,
}

impl Named {
    /// By its name alone, before all others.
    pub(crate) fn new(name: String) -> Self {
        Self {
            rank: 0,
            name,
            id: None,
            alias: Vec::new(),
            reference: None,
            kind: None,
        }
    }
}

/// An id and a name, if that is known.
pub(crate) type Entry = (String, Option<String>);

impl Keyed for Entry {
    fn key(&self) -> &str {
        &self.0
    }
}

/// Tactics and techniques, each id once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attack {
    pub(crate) tactics: Unique<Entry>,
    pub(crate) techniques: Unique<Entry>,
    pub(crate) subtechniques: Unique<Entry>,
}

impl Attack {
    /// Takes in a technique or tactic; of a subtechnique also its parent's id.
    pub(crate) fn insert(&mut self, id: String, name: String) {
        if id.starts_with("TA") {
            add(&mut self.tactics, id, Some(name));
        } else if let Some((parent, _)) = id.split_once('.') {
            add(&mut self.techniques, parent.to_owned(), None);
            add(&mut self.subtechniques, id, Some(name));
        } else {
            add(&mut self.techniques, id, Some(name));
        }
    }

    /// Takes in all of another.
    pub(crate) fn add(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.tactics, &other.tactics),
            (&mut self.techniques, &other.techniques),
            (&mut self.subtechniques, &other.subtechniques),
        ] {
            for (id, name) in other.iter() {
                add(own, id.clone(), name.clone());
            }
        }
    }
}

fn add(list: &mut Unique<Entry>, id: String, name: Option<String>) {
    match list.get_mut(&id) {
        Some((_, known)) => {
            if known.is_none() {
                *known = name;
            }
        }
        None => {
            list.insert((id, name));
        }
    }
}

/// What a galaxy tag or cluster means.
#[derive(Debug)]
pub(crate) enum Found {
    /// A technique or tactic: id and name. Without an id, which old tags have, it stays
    /// a tag: ids and names are lists, and a gap in one would pair the wrong ones.
    Attack(String, String),
    /// A group.
    Group(Named),
    /// Malware or a tool.
    Software(Named),
}

/// Galaxies of groups, the best first.
const GROUPS: [&str; 7] = [
    "mitre-intrusion-set",
    "mitre-enterprise-attack-intrusion-set",
    "mitre-mobile-attack-intrusion-set",
    "mitre-pre-attack-intrusion-set",
    "threat-actor",
    "microsoft-activity-group",
    "360net-threat-actor",
];

/// Galaxies of software, the best first, and which of the two kinds of ECS they are.
const SOFTWARE: [(&str, &str); 16] = [
    ("mitre-malware", "Malware"),
    ("mitre-tool", "Tool"),
    ("mitre-enterprise-attack-malware", "Malware"),
    ("mitre-enterprise-attack-tool", "Tool"),
    ("mitre-mobile-attack-malware", "Malware"),
    ("mitre-mobile-attack-tool", "Tool"),
    ("malpedia", "Malware"),
    ("ransomware", "Malware"),
    ("rat", "Malware"),
    ("stealer", "Malware"),
    ("banker", "Malware"),
    ("botnet", "Malware"),
    ("backdoor", "Malware"),
    ("cryptominers", "Malware"),
    ("android", "Malware"),
    ("tool", "Tool"),
];

/// What `misp-galaxy:GALAXY="VALUE"` means; `cluster` is the one with that tag.
pub(crate) fn read(galaxy: &str, value: &str, cluster: Option<&Cluster>) -> Option<Found> {
    let galaxy = galaxy.to_ascii_lowercase();
    let name = match cluster {
        Some(cluster) => cluster.value.as_str(),
        // A custom cluster that is not there has no name.
        None if is_uuid(value) => return None,
        None => value,
    };
    let (name, id) = split_id(name);
    let id = id.map(str::to_owned).or_else(|| {
        let id = cluster?.external_id.as_deref()?;
        is_attack_id(id).then(|| id.to_owned())
    });
    let is_pattern = galaxy == "mitre-attack-pattern"
        || (galaxy.starts_with("mitre-") && galaxy.ends_with("-attack-attack-pattern"));
    let is_tactic = id.as_deref().is_some_and(|id| id.starts_with("TA"));
    if is_pattern || (galaxy == "mitre-tactic" && is_tactic) {
        let id = id.filter(|id| id.starts_with('T'))?;
        return Some(Found::Attack(id, name.to_owned()));
    }
    let named = |rank, letter, folder, kind| {
        let id = id.filter(|id| id.starts_with(letter));
        let of_cluster = || cluster.and_then(|cluster| cluster.reference.clone());
        Named {
            rank,
            name: name.to_owned(),
            reference: id.as_deref().map(|id| page(folder, id)).or_else(of_cluster),
            id,
            alias: cluster.map_or_else(Vec::new, |cluster| cluster.synonyms.clone()),
            kind,
        }
    };
    if let Some(rank) = rank_of_group(&galaxy) {
        return Some(Found::Group(named(rank, 'G', "groups", None)));
    }
    let rank = SOFTWARE.iter().position(|(known, _)| *known == galaxy)?;
    let kind = SOFTWARE.get(rank).map(|(_, kind)| *kind);
    Some(Found::Software(named(rank, 'S', "software", kind)))
}

/// Custom galaxies of groups are named after their organisation.
fn rank_of_group(galaxy: &str) -> Option<usize> {
    let known = GROUPS.iter().position(|known| *known == galaxy);
    known.or_else(|| galaxy.ends_with("-threat-actor").then_some(GROUPS.len()))
}

/// The page of ATT&CK: `https://attack.mitre.org/techniques/T1059/004/`
pub(crate) fn page(folder: &str, id: &str) -> String {
    format!(
        "https://attack.mitre.org/{folder}/{}/",
        id.replace('.', "/")
    )
}

/// The name without ` - T1059.004` at its end, and that id.
fn split_id(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(" - ") {
        Some((name, id)) if is_attack_id(id) => (name, Some(id)),
        _ => (name, None),
    }
}

/// `T1059`, `T1059.004`, `TA0001`, `G0006`, `S0031`
fn is_attack_id(text: &str) -> bool {
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    match text.strip_prefix('T') {
        Some(rest) => match rest.strip_prefix('A') {
            Some(number) => digits(number, 4),
            None => match rest.split_once('.') {
                Some((number, sub)) => digits(number, 4) && digits(sub, 3),
                None => digits(rest, 4),
            },
        },
        None => text
            .strip_prefix(['G', 'S'])
            .is_some_and(|number| digits(number, 4)),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        assert_eq!(
            split_id("Unix Shell - T1059.004"),
            ("Unix Shell", Some("T1059.004"))
        );
        assert_eq!(split_id("APT1 - G0006"), ("APT1", Some("G0006")));
        assert_eq!(split_id("a - b"), ("a - b", None));
        for bad in ["T105", "T1059.4", "TA1", "X0001", "T10599", "G1"] {
            assert!(!is_attack_id(bad), "{bad}");
        }
    }

    #[test]
    fn a_subtechnique_fills_its_parent() {
        let mut attack = Attack::default();
        for (id, name) in [
            ("T1059.004", "Unix Shell"),
            ("T1059", "Interpreter"),
            ("T1059", "Other"),
            ("TA0002", "Execution"),
        ] {
            attack.insert(id.to_owned(), name.to_owned());
        }
        let some = |id: &str, name: &str| (id.to_owned(), Some(name.to_owned()));
        let all = |list: &Unique<Entry>| list.iter().cloned().collect::<Vec<_>>();
        assert_eq!(
            all(&attack.subtechniques),
            [some("T1059.004", "Unix Shell")]
        );
        assert_eq!(all(&attack.techniques), [some("T1059", "Interpreter")]);
        assert_eq!(all(&attack.tactics), [some("TA0002", "Execution")]);
    }

    #[test]
    fn a_course_of_action_is_nothing() {
        for galaxy in [
            "mitre-course-of-action",
            "mitre-enterprise-attack-course-of-action",
            "sector",
        ] {
            assert!(read(galaxy, "Account Discovery Mitigation - T1087", None).is_none());
        }
        let uuid = "bb3ab4f3-e221-49e9-9fd4-4e429f8f4664";
        assert!(read("eset-threat-actor", uuid, None).is_none());
        assert!(matches!(
            read("threat-actor", "APT32", None),
            Some(Found::Group(_))
        ));
    }
}
