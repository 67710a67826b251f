//! What `check` asks: is it a MISP, who are we there, what would the filters find.

use reqwest::Method;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::client::{Client, Endpoint};
use crate::error::ClientError;
use crate::filters::Filters;
use crate::walk::CursorKind;

/// What is listed of an attribute, in this order.
pub(crate) const COLUMNS: [&str; 3] = ["uuid", "event_id", "timestamp"];
/// Bytes of a count: the digits of the largest, and a line end.
const LONGEST_COUNT: usize = 24;

/// `GET /servers/getVersion`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// Such as `2.5.1`.
    pub version: String,
    /// The web server's clock, UNIX seconds, if it said.
    #[serde(skip)]
    pub date: Option<i64>,
}

/// `GET /users/view/me.json`: who the key belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Me {
    /// The user's email address.
    pub email: String,
    /// May the user no longer log in?
    pub disabled: bool,
    /// When the account ends, as MISP writes it.
    pub expiration: Option<String>,
    /// The organisation's name.
    pub organisation: String,
    /// The role's name.
    pub role: String,
    /// May the role use the API?
    pub may_use_api: bool,
    /// What else the role may, such as `perm_publish`. Reading needs none of it.
    pub may_also: Vec<String>,
    /// The memory that PHP may take for this role, as MISP writes it, where the role has its own.
    pub memory_limit: Option<String>,
    /// Searches allowed in 15 minutes, where the role limits them.
    pub rate_limit: Option<u64>,
    /// The user's setting `default_restsearch_parameters`, which MISP merges under every search.
    pub default_search: Option<Value>,
}

/// `GET /auth_keys/index`: what MISP says of our key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// Can it change nothing?
    pub read_only: bool,
    /// When it ends, UNIX seconds.
    pub expiration: Option<i64>,
    /// The addresses it may be used from; empty: any.
    pub allowed_ips: Vec<String>,
}

/// Permissions that change nothing in MISP: they only show more.
const READING: [&str; 5] = [
    "perm_audit",
    "perm_view_feed_correlations",
    "perm_auth",
    "perm_skip_otp",
    "perm_sighting_view",
];

impl Me {
    /// The permissions of the role that change something in MISP.
    pub fn may_write(&self) -> Vec<&str> {
        let all = self.may_also.iter().map(String::as_str);
        all.filter(|name| !READING.contains(name)).collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MeAnswer {
    user: User,
    #[serde(default)]
    role: Role,
    #[serde(default)]
    user_setting: Value,
    #[serde(default)]
    organisation: Organisation,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    email: String,
    #[serde(default, deserialize_with = "flag")]
    disabled: bool,
    #[serde(default)]
    expiration: Value,
}

#[derive(Deserialize, Default)]
struct Role {
    #[serde(default)]
    name: String,
    #[serde(default, deserialize_with = "flag")]
    perm_auth: bool,
    #[serde(default, deserialize_with = "flag")]
    enforce_rate_limit: bool,
    #[serde(default)]
    rate_limit_count: Value,
    #[serde(default)]
    memory_limit: Value,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Role {
    fn may_also(&self) -> Vec<String> {
        let others = self.others.iter();
        others
            .filter(|(name, _)| name.starts_with("perm_") && *name != "perm_audit")
            .filter(|(_, value)| is_set(value))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

#[derive(Deserialize, Default)]
struct Organisation {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyAnswer {
    auth_key: AuthKey,
}

#[derive(Deserialize)]
struct AuthKey {
    #[serde(default)]
    authkey_start: String,
    #[serde(default)]
    authkey_end: String,
    #[serde(default, deserialize_with = "flag")]
    read_only: bool,
    #[serde(default)]
    expiration: Value,
    #[serde(default)]
    allowed_ips: Value,
}

impl Client {
    /// Is it a MISP, and does it take the key? Not counted by MISP's rate limit.
    ///
    /// # Errors
    /// When it does not answer, or not as a MISP.
    pub async fn version(&self) -> Result<Version, ClientError> {
        let small = self
            .small::<Version>(Method::GET, "servers/getVersion", None)
            .await?;
        Ok(Version {
            date: small.date,
            ..small.value
        })
    }

    /// Who the key belongs to, and what they may.
    ///
    /// # Errors
    /// When MISP does not say.
    pub async fn me(&self) -> Result<Me, ClientError> {
        let answer: MeAnswer = self
            .small(Method::GET, "users/view/me.json", None)
            .await?
            .value;
        let rate_limit = number(&answer.role.rate_limit_count);
        Ok(Me {
            email: answer.user.email,
            disabled: answer.user.disabled,
            expiration: text(&answer.user.expiration),
            organisation: answer.organisation.name,
            role: answer.role.name.clone(),
            may_use_api: answer.role.perm_auth,
            may_also: answer.role.may_also(),
            memory_limit: text(&answer.role.memory_limit),
            rate_limit: rate_limit.filter(|_| answer.role.enforce_rate_limit),
            default_search: answer
                .user_setting
                .get("default_restsearch_parameters")
                .cloned(),
        })
    }

    /// What MISP says of our key; `None` if it is not in the list (keys of the old kind are not).
    ///
    /// # Errors
    /// When MISP does not give the list.
    pub async fn key_facts(&self) -> Result<Option<KeyFacts>, ClientError> {
        let key = self.keys().in_use();
        let Some((start, end)) = key.ends() else {
            return Ok(None);
        };
        let keys: Vec<KeyAnswer> = self
            .small(Method::GET, "auth_keys/index", None)
            .await?
            .value;
        let ours = keys
            .into_iter()
            .map(|answer| answer.auth_key)
            .find(|key| key.authkey_start == start && key.authkey_end == end);
        Ok(ours.map(|key| KeyFacts {
            read_only: key.read_only,
            expiration: number(&key.expiration)
                .filter(|expiration| *expiration > 0)
                .and_then(|expiration| expiration.try_into().ok()),
            allowed_ips: texts(&key.allowed_ips),
        }))
    }

    /// How many events the key sees: all, or those that are published now.
    ///
    /// # Errors
    /// When MISP does not answer.
    pub async fn visible_events(&self, published_only: bool) -> Result<Option<u64>, ClientError> {
        let mut body = json!({"limit": 1, "page": 1});
        if let (true, Some(body)) = (published_only, body.as_object_mut()) {
            body.insert("published".to_owned(), 1.into());
        }
        let small = self
            .small::<Vec<Value>>(Method::POST, "events/index/minimal:1", Some(&body))
            .await?;
        Ok(small.result_count)
    }

    /// How many live attributes the key sees; `None` if the answer is no number.
    ///
    /// # Errors
    /// When MISP does not answer, or knows no `returnFormat` of this name.
    pub async fn visible_attributes(&self) -> Result<Option<u64>, ClientError> {
        let body = json!({"returnFormat": "count"});
        let answer = self.post_text(Endpoint::Attributes, &body).await?;
        let digits = answer.body.read_range(0..u64::MAX, LONGEST_COUNT);
        let digits = digits.map_err(|error| ClientError::Spool(error.into()))?;
        Ok(String::from_utf8_lossy(&digits).trim().parse().ok())
    }

    /// Can be listed what a sweep or an audit lists, for a walk by this clock with these filters?
    ///
    /// # Errors
    /// Why not.
    pub async fn can_list(&self, filters: &Filters, clock: CursorKind) -> Result<(), ClientError> {
        self.visible_events(false).await?;
        let mut body = filters.selection(clock);
        body.extend([
            ("returnFormat".to_owned(), "csv".into()),
            ("requested_attributes".to_owned(), json!(COLUMNS)),
            ("limit".to_owned(), 2.into()),
            ("page".to_owned(), 1.into()),
        ]);
        self.post_csv(Endpoint::Events, &Value::Object(body))
            .await?;
        Ok(())
    }

    /// How many events a walk by this clock with these filters would find from this second on
    /// (1: all), and without its own paging.
    ///
    /// # Errors
    /// When MISP does not answer.
    pub async fn count_matching(
        &self,
        filters: &Filters,
        clock: CursorKind,
        since: i64,
    ) -> Result<Option<u64>, ClientError> {
        let mut body = filters.body(&Map::new(), clock);
        body.extend([
            ("returnFormat".to_owned(), "json".into()),
            ("metadata".to_owned(), 1.into()),
            ("excludeGalaxy".to_owned(), 1.into()),
            ("limit".to_owned(), 2.into()),
            ("page".to_owned(), 1.into()),
            (clock.column().to_owned(), since.max(1).into()),
        ]);
        let answer = self
            .post_search(Endpoint::Events, &Value::Object(body))
            .await?;
        Ok(answer.result_count)
    }

    /// Those of the names that are no tag of this MISP: a filter by one of them finds nothing.
    ///
    /// # Errors
    /// When MISP does not answer.
    pub async fn missing_tags(&self, names: &[String]) -> Result<Vec<String>, ClientError> {
        if names.is_empty() {
            // An empty list would ask for every tag.
            return Ok(Vec::new());
        }
        // POST: in the path of a GET the colon of `tlp:green` gets lost.
        let found: Vec<Value> = self
            .small(Method::POST, "tags/search", Some(&json!({"tag": names})))
            .await?
            .value;
        let found: Vec<String> = found
            .iter()
            .filter_map(|tag| Some(tag.get("Tag")?.get("name")?.as_str()?.to_lowercase()))
            .collect();
        Ok(names
            .iter()
            .filter(|name| !found.contains(&name.to_lowercase()))
            .cloned()
            .collect())
    }
}

/// MISP's booleans: true, 1 or "1".
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(is_set(&Value::deserialize(deserializer)?))
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        other => number(other).is_some_and(|number| number != 0),
    }
}

/// A text that says something.
fn text(value: &Value) -> Option<String> {
    let text = value.as_str().map(str::trim);
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// MISP's numbers: 5 or "5".
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        // As a person enters them: one a line.
        Value::String(lines) => lines.lines().map(|line| line.trim().to_owned()).collect(),
        _ => Vec::new(),
    }
}
