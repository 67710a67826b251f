//! Tag names and the markings in them.

use misp_model::{Json, Object};

/// The names of the tags in the `Tag` of an event or attribute, in order, without
/// `\` and `"`.
pub fn names(holder: &Object<'_>) -> Vec<String> {
    holder
        .some("Tag")
        .and_then(Json::as_array)
        .unwrap_or_default()
        .iter()
        .filter_map(|tag| tag.as_object().map_or(Some(tag), |tag| tag.get("name")))
        .filter_map(clean)
        .collect()
}

/// The names of the tags that a loose attribute has from its event (`inherited`).
pub fn inherited_names(attribute: &Object<'_>) -> Vec<String> {
    attribute
        .some("Tag")
        .and_then(Json::as_array)
        .unwrap_or_default()
        .iter()
        .filter_map(Json::as_object)
        .filter(|tag| tag.get("inherited").and_then(Json::boolean) == Some(true))
        .filter_map(|tag| tag.get("name").and_then(clean))
        .collect()
}

fn clean(name: &Json<'_>) -> Option<String> {
    name.text().map(|name| name.replace(['\\', '"'], ""))
}

/// The traffic-light markings among tag names: what follows `tlp:`, as it stands.
pub fn tlp(names: &[String]) -> impl Iterator<Item = &str> {
    names.iter().filter_map(|name| name.strip_prefix("tlp:"))
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
        let names = names(json.as_object().unwrap());
        assert_eq!(names, ["b:c=de", "tlp:RED", "tlp:green"]);
        assert_eq!(tlp(&names).collect::<Vec<_>>(), ["RED", "green"]);
    }

    #[test]
    fn inherited_tags_only() {
        let json = read(r#"{"Tag":[{"name":"own"},{"name":"tlp:red","inherited":1}]}"#);
        assert_eq!(inherited_names(json.as_object().unwrap()), ["tlp:red"]);
    }
}
