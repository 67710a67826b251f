//! A record taken apart, down to single attributes.

use bytes::Bytes;

use crate::cut::{Entries, Frame};
use crate::list::Of;
use crate::plan::{self, Item, Parts, Plan, Shape};
use crate::reader::Reader;
use crate::record::{Record, SplitLimits};
use crate::scan::{Fault, Scanner};
use crate::spool::Body;

/// Nothing is in one piece that can be cut. A record nests little deeper than its page,
/// which was checked, and nothing here recurses.
const CUT_ALL: SplitLimits = SplitLimits {
    attributes: 0,
    bytes: 0,
    head_times_attributes: 0,
    depth: u32::MAX,
    items: u32::MAX,
    unreadable: 0,
    record: usize::MAX,
};

/// One entry of a list and the attributes in it.
struct Entry {
    of: Of,
    json: Vec<u8>,
    attributes: u64,
}

impl Record {
    /// Two slices that together hold exactly the attributes of this record. An object
    /// with several attributes is taken apart when nothing else is left. `None` when there
    /// is one attribute or none, or what belongs together: a pair that another shipper made.
    pub fn halves(&self) -> Option<(Self, Self)> {
        let ((first, a), (second, b)) = halve(&self.json).ok().flatten()?;
        let half = |json, attributes, last| Self {
            json,
            head: self.head.clone(),
            attributes: u32::try_from(attributes).unwrap_or(u32::MAX),
            last,
        };
        Some((half(first, a, false), half(second, b, self.last)))
    }

    /// The uuid of the attribute of a record that has only one; of a pair that another
    /// shipper made it is the object's, which is the indicator.
    pub fn attribute_uuid(&self) -> Option<String> {
        if self.attributes != 1 {
            return None;
        }
        let json: serde_json::Value = serde_json::from_slice(&self.json).ok()?;
        let wrapped = json.get("Event").filter(|_| json.get("uuid").is_none());
        let attribute = wrapped
            .and_then(only_attribute)
            .or_else(|| only_attribute(&json))
            .unwrap_or(&json);
        Some(attribute.get("uuid")?.as_str()?.to_owned())
    }
}

/// The attribute of an event, first looked for in its objects.
fn only_attribute(event: &serde_json::Value) -> Option<&serde_json::Value> {
    let objects = event.get("Object").into_iter().flat_map(entries);
    let mut in_objects = objects.filter_map(|object| object.get("Attribute"));
    let found = in_objects.find_map(|list| entries(list).next());
    found.or_else(|| entries(event.get("Attribute")?).next())
}

/// The entries of a list, or one object where a list is usual.
fn entries(list: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    let single = list.as_object().filter(|object| !object.is_empty());
    let gappy = single.filter(|object| object.keys().all(|key| key.parse::<u32>().is_ok()));
    let list_entries = list.as_array().into_iter().flatten();
    let gappy_entries = gappy.into_iter().flat_map(|object| object.values());
    let one = (single.is_some() && gappy.is_none()).then_some(list);
    list_entries.chain(gappy_entries).chain(one)
}

/// The bytes of a slice and the attributes in it.
type Half = (Bytes, u64);

/// The entries of two slices.
type Shared = (Vec<Entry>, Vec<Entry>);

fn halve(json: &Bytes) -> Result<Option<(Half, Half)>, Fault> {
    let mut scanner = scanner(json.clone());
    let mut plan = Plan::default();
    plan::value(&mut scanner, &CUT_ALL, &mut plan)?;
    let mut items = plan.items.into_iter();
    let (
        Some(Item {
            shape: Shape::Cut(parts),
            ..
        }),
        None,
    ) = (items.next(), items.next())
    else {
        return Ok(None);
    };
    let frame = Frame::read(&parts, &mut scanner)?;
    let all = read(*parts, &mut scanner)?;
    let Some((first, second)) = share(all)? else {
        return Ok(None);
    };
    Ok(Some((write(&frame, &first), write(&frame, &second))))
}

fn scanner(json: Bytes) -> Scanner {
    Scanner::new(Reader::new(Body::from(json)), CUT_ALL)
}

fn read(parts: Parts, scanner: &mut Scanner) -> Result<Vec<Entry>, Fault> {
    let mut entries = Entries::new(parts);
    let mut all = Vec::new();
    loop {
        let mut json = Vec::new();
        let Some((of, attributes)) = entries.next(scanner, &mut json)? else {
            return Ok(all);
        };
        all.push(Entry {
            of,
            json,
            attributes,
        });
    }
}

fn write(frame: &Frame, entries: &[Entry]) -> Half {
    let mut slice = frame.slice();
    for entry in entries {
        slice.push(entry.of, &entry.json, entry.attributes);
    }
    (slice.finish(), slice.attributes)
}

/// Shares entries out to two sides with at least one attribute each.
fn share(mut all: Vec<Entry>) -> Result<Option<Shared>, Fault> {
    let total: u64 = all.iter().map(|entry| entry.attributes).sum();
    let mut before = 0;
    let places = all.iter().enumerate().map(|(place, entry)| {
        let here = before;
        before += entry.attributes;
        (place, here)
    });
    let inside = places.filter(|(_, before)| (1..total).contains(before));
    if let Some((place, _)) = inside.min_by_key(|(_, before)| before.abs_diff(total - before)) {
        let second = all.split_off(place);
        return Ok(Some((all, second)));
    }
    let Some(place) = all.iter().position(|entry| entry.attributes > 1) else {
        return Ok(None);
    };
    let object = all.remove(place);
    let Some((first, second)) = share_object(object)? else {
        return Ok(None);
    };
    all.push(first);
    Ok(Some((all, vec![second])))
}

/// Makes two objects of one, each with a part of its attributes.
fn share_object(object: Entry) -> Result<Option<(Entry, Entry)>, Fault> {
    let mut scanner = scanner(object.json.into());
    let parts = plan::object_parts(&mut scanner, &CUT_ALL)?;
    let frame = Frame::read(&parts, &mut scanner)?;
    let shared = share(read(parts, &mut scanner)?)?;
    Ok(shared.map(|(first, second)| {
        let half = |entries: &[Entry]| {
            let (json, attributes) = write(&frame, entries);
            Entry {
                of: Of::Objects,
                json: json.into(),
                attributes,
            }
        };
        (half(&first), half(&second))
    }))
}
