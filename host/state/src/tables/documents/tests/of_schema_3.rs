//! A database of schema 3 is read as it was.

use pipeline::{Fate, State as _};
use redb::{Database, TableDefinition};

use super::output;
use crate::Store;
use crate::attribute_key::AttributeKey;
use crate::schema::STEPS;
use crate::tables::names::{self, Kind};

type DocumentRow = (
    u8,
    u32,
    Vec<u32>,
    Option<i64>,
    u64,
    Vec<(u32, u32)>,
    u64,
    Option<u64>,
);
type HeldKey = (u32, u32, u32, &'static str);
type HeldRow = (u64, Option<u64>, &'static [u8]);
type AttributesKey = (u32, u32, &'static [u8]);
type AttributesRow = (u32, Option<i64>, &'static str);

const DOCUMENTS: TableDefinition<'_, (u32, &str), DocumentRow> =
    TableDefinition::new("documents 3");
const HELD: TableDefinition<'_, HeldKey, HeldRow> = TableDefinition::new("held");
const ATTRIBUTES: TableDefinition<'_, AttributesKey, AttributesRow> =
    TableDefinition::new("attributes");

/// More than a row.
const COUNT: u64 = 40;

/// Event `e` of `lab` has 40 attributes, the first of them shared with the event `f` of `partner`;
/// one more was refused by the mapping; one document is nobody's any more.
fn write(path: &std::path::Path) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    let number = |kind, text: &str| names::number(&transaction, kind, text).unwrap();
    let out = number(Kind::Output, &names::of_output(&output()));
    let (lab, partner) = (
        number(Kind::Instance, "lab"),
        number(Kind::Instance, "partner"),
    );
    let (e, f) = (number(Kind::Event, "e"), number(Kind::Event, "f"));
    let mapping = number(Kind::Mapping, "digest\u{1f}name\u{1f}1");
    {
        let mut documents = transaction.open_table(DOCUMENTS).unwrap();
        let mut held = transaction.open_table(HELD).unwrap();
        let mut attributes = transaction.open_table(ATTRIBUTES).unwrap();
        for at in 0..COUNT {
            let id = format!("id {at:02}");
            let attribute = AttributeKey::new(Some(&format!("attribute {at:02}")));
            let attribute = attribute.bytes();
            let mut wanted_by = vec![(lab, e)];
            if at == 0 {
                wanted_by.push((partner, f));
                held.insert((out, partner, f, id.as_str()), (8, Some(1), attribute))
                    .unwrap();
                attributes
                    .insert((out, partner, attribute), (f, Some(6), id.as_str()))
                    .unwrap();
            }
            let row = (1, lab, vec![mapping], Some(100), 7, wanted_by, 2, Some(at));
            documents.insert((out, id.as_str()), row).unwrap();
            held.insert((out, lab, e, id.as_str()), (9, Some(at), attribute))
                .unwrap();
            attributes
                .insert((out, lab, attribute), (e, Some(5), id.as_str()))
                .unwrap();
        }
        let nobodys = (2, lab, Vec::new(), None, 3, Vec::new(), 4, None);
        documents.insert((out, "left"), nobodys).unwrap();
        let refused = AttributeKey::new(Some("refused"));
        attributes
            .insert((out, lab, refused.bytes()), (e, None, ""))
            .unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn what_schema_3_knew_is_known() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open_with(folder.path(), STEPS.get(..3).unwrap()).unwrap());
    write(&folder.path().join("state.redb"));
    for _ in 0..2 {
        let store = Store::open(folder.path()).unwrap();
        let mut exported = Vec::new();
        let written = store.export(&mut |one| {
            exported.push(one);
            Ok(())
        });
        written.unwrap().unwrap();
        assert_eq!(exported.len() as u64, COUNT + 1);
        assert!(
            exported
                .iter()
                .all(|one| one.mapping == "digest" && one.sent == 7)
        );
        let seen = exported.iter().map(|one| one.seen).sum::<u64>();
        assert_eq!(seen, COUNT * 9 + 8);
        let held = store.older("lab", &output(), "e", 10, 100).unwrap();
        assert_eq!(held.len() as u64, COUNT);
        let others: Vec<&str> = held
            .iter()
            .filter(|one| one.others)
            .map(|one| &*one.id)
            .collect();
        assert_eq!(others, ["id 00"]);
        assert!(held.iter().all(|one| one.delete_revision == 3));
        assert_eq!(store.older("lab", &output(), "e", 9, 100).unwrap(), []);
        let theirs = store.older("partner", &output(), "f", 10, 100).unwrap();
        assert_eq!(theirs.len(), 1);
        assert!(
            theirs
                .iter()
                .all(|one| one.others && one.fate == Fate::Delivered)
        );
        assert_eq!(store.due("lab", &output(), 99, 100).unwrap(), []);
        assert_eq!(
            store.due("lab", &output(), 100, 100).unwrap().len() as u64,
            COUNT
        );
        let known = store.known(&output(), &["left".to_owned()]).unwrap();
        assert_eq!(known.first().unwrap().as_ref().unwrap().fate, Fate::Deleted);
        let mut listed = std::sync::Arc::new(store).comparison("lab").unwrap();
        let mut orphans = Vec::new();
        let counts = listed
            .compare(&output(), &mut |difference| {
                orphans.push(difference);
                true
            })
            .unwrap();
        assert_eq!((counts.held, counts.delivered), (COUNT + 1, COUNT));
        assert_eq!(orphans.len() as u64, COUNT + 1);
    }
}
