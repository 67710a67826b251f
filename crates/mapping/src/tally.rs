//! How many attributes of which type became which type of indicator.

use crate::Tally;

/// Counts, sorted by attribute type and indicator type.
#[derive(Debug, Clone, Default)]
pub struct Tallies(Vec<Counts>);

/// Of one attribute type. Events have attributes of a few types: a search among them is short.
#[derive(Debug, Clone)]
struct Counts {
    /// See [`misp_model::prefix`].
    prefix: u64,
    attribute_type: String,
    by_indicator: Vec<(Option<&'static str>, u32)>,
}

impl Tallies {
    /// Counts one document.
    pub fn add(&mut self, attribute_type: &str, indicator_type: Option<&'static str>) {
        let prefix = misp_model::prefix(attribute_type);
        let known = self
            .0
            .iter_mut()
            .find(|known| known.prefix == prefix && known.attribute_type == attribute_type);
        if let Some(known) = known {
            return known.add(indicator_type);
        }
        let before = |known: &Counts| known.attribute_type.as_str() < attribute_type;
        let counts = Counts {
            prefix,
            attribute_type: attribute_type.to_owned(),
            by_indicator: vec![(indicator_type, 1)],
        };
        // In its place, since code that sorts takes five kilobytes.
        self.0.insert(self.0.partition_point(before), counts);
    }

    /// The counts, sorted by attribute type and indicator type.
    pub fn finish(self) -> Vec<Tally> {
        self.0.into_iter().flat_map(Counts::finish).collect()
    }
}

impl Counts {
    fn add(&mut self, indicator_type: Option<&'static str>) {
        let mut known = self.by_indicator.iter_mut();
        match known.find(|(known, _)| *known == indicator_type) {
            Some((_, count)) => *count += 1,
            None => {
                let before = |known: &(Option<&str>, u32)| known.0 < indicator_type;
                let place = self.by_indicator.partition_point(before);
                self.by_indicator.insert(place, (indicator_type, 1));
            }
        }
    }

    fn finish(self) -> impl Iterator<Item = Tally> {
        let attribute_type = self.attribute_type;
        let by_indicator = self.by_indicator.into_iter();
        by_indicator.map(move |(indicator_type, count)| Tally {
            attribute_type: attribute_type.clone(),
            indicator_type: indicator_type.map(str::to_owned),
            count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_sorted() {
        let mut tallies = Tallies::default();
        for (attribute_type, indicator_type) in [
            ("filename|sha256", Some("file")),
            ("filename|sha1", Some("file")),
            ("ip-src", Some("ipv6-addr")),
            ("ip-src", None),
            ("filename|sha1", Some("file")),
            ("ip-src", Some("ipv4-addr")),
        ] {
            tallies.add(attribute_type, indicator_type);
        }
        let tallies = tallies.finish();
        let count = |one: &Tally| {
            let indicator_type = one.indicator_type.clone().unwrap_or_default();
            format!("{} {indicator_type} {}", one.attribute_type, one.count)
        };
        assert_eq!(
            tallies.iter().map(count).collect::<Vec<_>>(),
            [
                "filename|sha1 file 2",
                "filename|sha256 file 1",
                "ip-src  1",
                "ip-src ipv4-addr 1",
                "ip-src ipv6-addr 1",
            ]
        );
    }
}
