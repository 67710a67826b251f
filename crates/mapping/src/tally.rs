//! How many attributes of which type became which type of indicator.

use std::collections::BTreeMap;

use crate::Tally;

/// Counts, by attribute type and indicator type.
#[derive(Debug, Clone, Default)]
pub struct Tallies(BTreeMap<String, BTreeMap<Option<&'static str>, u32>>);

impl Tallies {
    /// Counts one document.
    pub fn add(&mut self, attribute_type: &str, indicator_type: Option<&'static str>) {
        if let Some(counts) = self.0.get_mut(attribute_type) {
            *counts.entry(indicator_type).or_default() += 1;
        } else {
            let counts = BTreeMap::from([(indicator_type, 1)]);
            self.0.insert(attribute_type.to_owned(), counts);
        }
    }

    /// The counts, sorted by attribute type.
    pub fn finish(self) -> Vec<Tally> {
        let each = |(attribute_type, counts): (String, BTreeMap<Option<&'static str>, u32>)| {
            counts
                .into_iter()
                .map(move |(indicator_type, count)| Tally {
                    attribute_type: attribute_type.clone(),
                    indicator_type: indicator_type.map(str::to_owned),
                    count,
                })
        };
        self.0.into_iter().flat_map(each).collect()
    }
}
