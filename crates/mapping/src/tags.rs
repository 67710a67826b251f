//! Tag names and what is in them.

use misp_model::{Json, Object};

/// What `name` gives for the entries of the `Tag` of an event or attribute, in order.
pub fn of(holder: &Object<'_>, name: impl Fn(&Json<'_>) -> Option<String>) -> Vec<String> {
    holder
        .some("Tag")
        .and_then(Json::as_array)
        .unwrap_or_default()
        .iter()
        .filter_map(name)
        .collect()
}

/// The name of one entry, as it stands.
pub fn name(tag: &Json<'_>) -> Option<String> {
    name_text(tag).map(Into::into)
}

/// As [`name`], without a copy.
pub fn name_text<'j>(tag: &'j Json<'_>) -> Option<std::borrow::Cow<'j, str>> {
    tag.as_object()
        .map_or(Some(tag), |tag| tag.get("name"))?
        .text()
}

/// A name without `\` and `"`.
pub fn clean(name: &str) -> String {
    name.replace(['\\', '"'], "")
}

/// Does a loose attribute have it from its event?
pub fn is_inherited(tag: &Json<'_>) -> bool {
    is(tag, "inherited")
}

/// Is it a tag of this instance only?
pub fn is_local(tag: &Json<'_>) -> bool {
    is(tag, "local")
}

fn is(tag: &Json<'_>, key: &str) -> bool {
    tag.as_object()
        .and_then(|tag| tag.get(key))
        .and_then(Json::boolean)
        == Some(true)
}

/// The traffic-light markings among tag names: what follows `tlp:`, as it stands.
pub fn tlp(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().filter_map(|name| name.strip_prefix("tlp:"))
}

/// A tag of a taxonomy or galaxy, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineTag<'t> {
    /// Before the first `:`.
    pub namespace: &'t str,
    /// Between `:` and `=`, or to the end.
    pub predicate: &'t str,
    /// Between the quotes. It may hold anything, quotes too; the closing quote may be
    /// missing, since MISP cuts names at 255 characters.
    pub value: Option<&'t str>,
}

impl<'t> MachineTag<'t> {
    /// `namespace:predicate` or `namespace:predicate="value"`; `None` for any other name.
    pub fn parse(name: &'t str) -> Option<Self> {
        let (namespace, rest) = name.split_once(':')?;
        let (predicate, value) = match rest.split_once("=\"") {
            Some((predicate, value)) => (predicate, Some(value.strip_suffix('"').unwrap_or(value))),
            None => (rest, None),
        };
        (!namespace.is_empty() && !predicate.is_empty()).then_some(Self {
            namespace,
            predicate,
            value,
        })
    }

    /// Is it of this namespace and predicate? Without case.
    pub fn is(&self, namespace: &str, predicate: &str) -> bool {
        self.namespace.eq_ignore_ascii_case(namespace)
            && self.predicate.eq_ignore_ascii_case(predicate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Json<'_> {
        Json::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn names_are_cleaned_and_in_order() {
        let json = read(
            r#"{"Tag":[{"name":"b:c=\"d\\e\""},{"id":"1"},{"name":null},"tlp:RED",{"name":"tlp:green"}]}"#,
        );
        let names = of(json.as_object().unwrap(), |tag| {
            name(tag).map(|name| clean(&name))
        });
        assert_eq!(names, ["b:c=de", "tlp:RED", "tlp:green"]);
        assert_eq!(tlp(&names).collect::<Vec<_>>(), ["RED", "green"]);
    }

    #[test]
    fn flags_of_tags() {
        let json = read(r#"[{"name":"own"},{"name":"x","inherited":1},{"name":"y","local":true}]"#);
        let flags: Vec<_> = json.as_array().unwrap().iter().collect();
        let found: Vec<_> = flags
            .iter()
            .map(|t| (is_inherited(t), is_local(t)))
            .collect();
        assert_eq!(found, [(false, false), (true, false), (false, true)]);
    }

    #[test]
    fn machine_tags() {
        let parse =
            |name| MachineTag::parse(name).map(|tag| (tag.namespace, tag.predicate, tag.value));
        assert_eq!(parse("tlp:red"), Some(("tlp", "red", None)));
        assert_eq!(
            parse(r#"misp-galaxy:tool="a "b", c: d=e""#),
            Some(("misp-galaxy", "tool", Some(r#"a "b", c: d=e"#)))
        );
        assert_eq!(parse(r#"a:b="cut"#), Some(("a", "b", Some("cut"))));
        assert_eq!(parse(r#"a:b="""#), Some(("a", "b", Some(""))));
        assert_eq!(parse("plain"), None);
        assert_eq!(parse(":x"), None);
    }
}
