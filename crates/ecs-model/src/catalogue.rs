//! The fields that a mapping can write.

/// Whether a field is defined by the Elastic Common Schema or by this project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Defined by ECS.
    Ecs,
    /// Ours.
    Custom,
}

/// The Elasticsearch type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// Exact text.
    Keyword,
    /// Exact text made for wildcard queries.
    Wildcard,
    /// Text made for full-text search without scores.
    MatchOnlyText,
    /// A signed 64-bit integer.
    Long,
    /// A 64-bit floating point number.
    Double,
    /// A point in time: ISO 8601, or digits since the UNIX epoch.
    Date,
    /// `true` or `false`.
    Boolean,
    /// One IPv4 or IPv6 address.
    Ip,
}

impl DataType {
    /// Every type.
    pub const ALL: [DataType; 8] = [
        DataType::Keyword,
        DataType::Wildcard,
        DataType::MatchOnlyText,
        DataType::Long,
        DataType::Double,
        DataType::Date,
        DataType::Boolean,
        DataType::Ip,
    ];

    /// The type that Elasticsearch's mappings call so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name that Elasticsearch's mappings use.
    pub fn name(self) -> &'static str {
        match self {
            DataType::Keyword => "keyword",
            DataType::Wildcard => "wildcard",
            DataType::MatchOnlyText => "match_only_text",
            DataType::Long => "long",
            DataType::Double => "double",
            DataType::Date => "date",
            DataType::Boolean => "boolean",
            DataType::Ip => "ip",
        }
    }
}

/// One field that a mapping can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    /// The dotted name.
    pub name: &'static str,
    /// The Elasticsearch type.
    pub data_type: DataType,
    /// Who defines it.
    pub origin: Origin,
    /// One line: where the value comes from.
    pub source: &'static str,
}

/// The place of a field in its catalogue. Made by [`Catalogue::id`], in a constant:
/// so nothing can write a field that its catalogue doesn't list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldId(usize);

impl FieldId {
    /// The index in [`Catalogue::fields`].
    pub fn index(self) -> usize {
        self.0
    }

    /// The field at an index.
    pub(crate) fn at(index: usize) -> Self {
        Self(index)
    }
}

/// All fields of a mapping, sorted by name (byte order).
#[derive(Debug, Clone, Copy)]
pub struct Catalogue(&'static [FieldSpec]);

impl Catalogue {
    /// How many fields one can have.
    pub const LIMIT: usize = 256;

    /// A catalogue of these fields, which must be sorted by name: [`Catalogue::is_sorted`].
    pub const fn new(fields: &'static [FieldSpec]) -> Self {
        assert!(fields.len() <= Self::LIMIT, "too many fields");
        Self(fields)
    }

    /// The fields.
    pub const fn fields(self) -> &'static [FieldSpec] {
        self.0
    }

    /// Are the names sorted and different? To be asserted when compiling.
    pub const fn is_sorted(self) -> bool {
        let mut rest = self.0;
        while let [first, tail @ ..] = rest {
            if let [second, ..] = tail
                && !less(first.name.as_bytes(), second.name.as_bytes())
            {
                return false;
            }
            rest = tail;
        }
        true
    }

    /// The field of this name. For constants: an unknown name does not compile.
    pub const fn id(self, name: &str) -> FieldId {
        let mut rest = self.0;
        let mut index = 0;
        while let [first, tail @ ..] = rest {
            if equal(first.name.as_bytes(), name.as_bytes()) {
                return FieldId(index);
            }
            rest = tail;
            index += 1;
        }
        assert!(index == usize::MAX, "no such field in the catalogue");
        FieldId(index)
    }

    /// What the catalogue says of a field.
    pub fn spec(self, field: FieldId) -> &'static FieldSpec {
        const UNKNOWN: &FieldSpec = &FieldSpec {
            name: "",
            data_type: DataType::Keyword,
            origin: Origin::Custom,
            source: "",
        };
        self.0.get(field.0).unwrap_or(UNKNOWN)
    }
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    !less(a, b) && !less(b, a)
}

const fn less(mut a: &[u8], mut b: &[u8]) -> bool {
    loop {
        match (a, b) {
            ([], []) | (_, []) => return false,
            ([], _) => return true,
            ([x, rest_a @ ..], [y, rest_b @ ..]) => {
                if *x != *y {
                    return *x < *y;
                }
                a = rest_a;
                b = rest_b;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn field(name: &'static str) -> FieldSpec {
        FieldSpec {
            name,
            data_type: DataType::Keyword,
            origin: Origin::Ecs,
            source: "",
        }
    }

    const FIELDS: Catalogue = Catalogue::new(&[field("a.b"), field("a.c"), field("a_b")]);

    #[test]
    fn names_become_places() {
        const C: FieldId = FIELDS.id("a.c");
        assert_eq!(C.index(), 1);
        assert_eq!(FIELDS.spec(C).name, "a.c");
    }

    #[test]
    fn order_is_checked() {
        assert!(FIELDS.is_sorted());
        const UNSORTED: Catalogue = Catalogue::new(&[field("b"), field("a")]);
        const TWICE: Catalogue = Catalogue::new(&[field("a"), field("a")]);
        assert!(!UNSORTED.is_sorted());
        assert!(!TWICE.is_sorted());
    }
}
