//! An event and the attributes in it.

use crate::{Json, Object};

/// An event as a record holds it: whole, a slice, or pre-split.
#[derive(Debug, Clone, Copy)]
pub struct Event<'j, 'a>(pub &'j Object<'a>);

/// What stands in a list of attributes or objects: an object, or something that is none.
pub type Entry<'j, 'a> = Result<&'j Object<'a>, &'j Json<'a>>;

impl<'j, 'a> Event<'j, 'a> {
    /// The entries of its `Attribute`.
    pub fn attributes(&self) -> Vec<Entry<'j, 'a>> {
        entries(self.0, "Attribute")
    }

    /// The entries of its `Object`.
    pub fn objects(&self) -> Vec<Entry<'j, 'a>> {
        entries(self.0, "Object")
    }

    /// The entries of the `Attribute` of one of its objects.
    pub fn object_attributes(object: &'j Object<'a>) -> Vec<Entry<'j, 'a>> {
        entries(object, "Attribute")
    }

    /// Has another shipper already split it: is its `Attribute` or its `Object` one
    /// object where MISP has a list?
    pub fn is_pre_split(&self) -> bool {
        let single = |key| self.0.get(key).is_some_and(is_single);
        single("Attribute") || single("Object")
    }

    /// The two attributes of a pre-split record that has both: the event's and the object's.
    pub fn pre_split_pair(&self) -> Option<PreSplitPair<'j, 'a>> {
        let beside = self.0.get("Attribute").filter(|a| is_single(a))?;
        let object = self.0.get("Object").filter(|o| is_single(o))?;
        let object = object.as_object()?;
        let attribute = object.get("Attribute").filter(|a| is_single(a))?;
        Some(PreSplitPair {
            beside: beside.as_object()?,
            attribute: attribute.as_object()?,
        })
    }
}

/// See [`Event::pre_split_pair`].
#[derive(Debug, Clone, Copy)]
pub struct PreSplitPair<'j, 'a> {
    /// The event-level attribute that stands beside the object.
    pub beside: &'j Object<'a>,
    /// The object's attribute: the indicator.
    pub attribute: &'j Object<'a>,
}

/// One object where a list is usual. PHP writes a list with gaps as an object of
/// numbers: that is still a list.
fn is_single(json: &Json<'_>) -> bool {
    json.as_object()
        .is_some_and(|o| !o.is_empty() && !is_gappy_list(o))
}

fn is_gappy_list(object: &Object<'_>) -> bool {
    !object.is_empty()
        && object
            .iter()
            .all(|(key, value)| key.parse::<u32>().is_ok() && value.as_object().is_some())
}

fn entries<'j, 'a>(object: &'j Object<'a>, key: &'static str) -> Vec<Entry<'j, 'a>> {
    let mut found = Vec::new();
    for value in object.all(key) {
        match value {
            Json::Null => {}
            Json::Array(items) => found.extend(items.iter().map(entry)),
            Json::Object(object) if object.is_empty() => {}
            Json::Object(object) if is_gappy_list(object) => {
                found.extend(object.iter().map(|(_, value)| entry(value)));
            }
            other => found.push(entry(other)),
        }
    }
    found
}

fn entry<'j, 'a>(json: &'j Json<'a>) -> Entry<'j, 'a> {
    json.as_object()
        .filter(|object| !object.is_empty())
        .ok_or(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(json: &str) -> (usize, usize, bool) {
        let json = Json::parse(json.as_bytes()).unwrap();
        let event = Event(json.as_object().unwrap());
        (
            event.attributes().len(),
            event.objects().len(),
            event.is_pre_split(),
        )
    }

    #[test]
    fn lists_single_objects_and_nothing() {
        assert_eq!(
            counts(r#"{"Attribute":[{"id":1},{"id":2}],"Object":[]}"#),
            (2, 0, false)
        );
        assert_eq!(
            counts(r#"{"Attribute":{"id":1},"Object":[]}"#),
            (1, 0, true)
        );
        assert_eq!(
            counts(r#"{"Attribute":[],"Object":{"id":1}}"#),
            (0, 1, true)
        );
        assert_eq!(counts(r#"{"Attribute":{},"Object":null}"#), (0, 0, false));
        assert_eq!(counts("{}"), (0, 0, false));
    }

    #[test]
    fn a_list_with_gaps_is_a_list() {
        assert_eq!(
            counts(r#"{"Attribute":{"0":{"id":1},"7":{"id":2}}}"#),
            (2, 0, false)
        );
    }

    #[test]
    fn a_key_given_twice_loses_nothing() {
        assert_eq!(
            counts(r#"{"Attribute":[{"id":1}],"Attribute":[{"id":2}]}"#),
            (2, 0, false)
        );
    }

    #[test]
    fn what_is_no_attribute_is_still_counted() {
        let json = Json::parse(br#"{"Attribute":[null,{"id":1},"x",{}]}"#).unwrap();
        let entries = Event(json.as_object().unwrap()).attributes();
        assert_eq!(entries.iter().filter(|e| e.is_err()).count(), 3);
        assert_eq!(entries.len(), 4);
    }

    #[test]
    fn a_pair_needs_both() {
        let json =
            Json::parse(br#"{"Attribute":{"id":1},"Object":{"Attribute":{"id":2}}}"#).unwrap();
        assert!(Event(json.as_object().unwrap()).pre_split_pair().is_some());
        let json = Json::parse(br#"{"Attribute":{"id":1},"Object":{"Attribute":[]}}"#).unwrap();
        assert!(Event(json.as_object().unwrap()).pre_split_pair().is_none());
    }
}
