//! The confidence that tags state: 0 to 100.
//!
//! The numbers are those of MISP's taxonomies; where a value of `estimative-language`
//! or `admiralty-scale` has only a range or a letter, the middle of it.
//! What says that there is no judgement gives no number.

use crate::tags::MachineTag;

/// A predicate and the numbers of its values.
struct Scale {
    namespace: &'static str,
    predicate: &'static str,
    values: &'static [(&'static str, u8)],
}

/// In order: the first scale that any tag is of counts.
const SCALES: [&[Scale]; 4] = [
    &[Scale {
        namespace: "misp",
        predicate: "confidence-level",
        values: &[
            ("completely-confident", 100),
            ("usually-confident", 75),
            ("fairly-confident", 50),
            ("rarely-confident", 25),
            ("unconfident", 0),
        ],
    }],
    &[
        Scale {
            namespace: "admiralty-scale",
            predicate: "source-reliability",
            values: &[
                ("a", 100),
                ("b", 75),
                ("c", 50),
                ("d", 25),
                ("e", 0),
                ("g", 0),
            ],
        },
        Scale {
            namespace: "admiralty-scale",
            predicate: "information-credibility",
            values: &[("1", 100), ("2", 75), ("3", 50), ("4", 25), ("5", 0)],
        },
    ],
    &[
        Scale {
            namespace: "estimative-language",
            predicate: "likelihood-probability",
            values: &[
                ("almost-no-chance", 3),
                ("very-unlikely", 13),
                ("unlikely", 33),
                ("roughly-even-chance", 50),
                ("likely", 68),
                ("very-likely", 88),
                ("almost-certain", 97),
            ],
        },
        Scale {
            namespace: "estimative-language",
            predicate: "confidence-in-analytic-judgment",
            values: &[("low", 15), ("moderate", 50), ("high", 85)],
        },
    ],
    &[Scale {
        namespace: "osint",
        predicate: "certainty",
        values: &[
            ("100", 100),
            ("93", 93),
            ("75", 75),
            ("50", 50),
            ("30", 30),
            ("7", 7),
            ("0", 0),
        ],
    }],
];

/// Returns the number of the first scale that any of these tags belongs to; the lowest of several.
#[must_use]
pub fn of(names: &[String]) -> Option<u8> {
    let tags = || names.iter().filter_map(|name| MachineTag::parse(name));
    SCALES.iter().find_map(|scales| {
        let number = |tag: MachineTag<'_>| {
            let scale = scales
                .iter()
                .find(|scale| tag.is(scale.namespace, scale.predicate))?;
            let value = tag.value?;
            let known = scale
                .values
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(value))?;
            Some(known.1)
        };
        tags().filter_map(number).min()
    })
}

/// Returns the name of a number on the STIX scale, which ECS uses.
#[must_use]
pub fn name(number: u8) -> &'static str {
    match number {
        0 => "None",
        1..=29 => "Low",
        30..=69 => "Medium",
        _ => "High",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_all(names: &[&str]) -> Option<u8> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        of(&names)
    }

    #[test]
    fn the_first_scale_and_its_lower_axis_count() {
        let admiralty = [
            r#"admiralty-scale:source-reliability="A""#,
            r#"admiralty-scale:information-credibility="4""#,
        ];
        assert_eq!(of_all(&admiralty), Some(25));
        let all = [
            r#"osint:certainty="93""#,
            r#"estimative-language:likelihood-probability="likely""#,
            admiralty[0],
            r#"MISP:confidence-level="unconfident""#,
        ];
        assert_eq!(of_all(&all), Some(0));
        assert_eq!(of_all(&all[..3]), Some(100));
        assert_eq!(of_all(&all[..2]), Some(68));
        assert_eq!(of_all(&all[..1]), Some(93));
        assert_eq!(of_all(&["tlp:red", "osint:certainty"]), None);
        assert_eq!(of_all(&[r#"admiralty-scale:source-reliability="f""#]), None);
    }

    #[test]
    fn names() {
        let names = [0, 1, 29, 30, 69, 70, 100].map(name);
        assert_eq!(
            names,
            ["None", "Low", "Low", "Medium", "Medium", "High", "High"]
        );
    }
}
