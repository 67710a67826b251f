//! Hashes: their fields and their forms.

use std::borrow::Cow;

use ecs_model::{FieldId, words};

use crate::fields::CATALOGUE;

/// What a hash looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// So many hex digits, from and to; written in lower case.
    Hex(usize, usize),
    /// `number:text:text`, case counts.
    Fuzzy,
    /// At least so many hex digits, `t1` before them or not; written as it stands.
    Tlsh(usize),
    /// Anything.
    Opaque,
}

/// A kind of hash.
#[derive(Debug)]
pub(crate) struct HashRule {
    /// Its field.
    pub(crate) field: FieldId,
    /// A second name of the field.
    pub(crate) also: Option<FieldId>,
    /// What it looks like.
    pub(crate) form: Form,
    /// Is it a digest, one to put into `related.hash`?
    pub(crate) related: bool,
}

macro_rules! hashes {
    ($($name:ident: $field:literal, $form:expr;)*) => {
        $(pub(crate) static $name: HashRule = HashRule {
            field: CATALOGUE.id(concat!("threat.indicator.file.", $field)),
            also: None,
            form: $form,
            related: true,
        };)*
    };
}

hashes! {
    AUTHENTIHASH: "hash.authentihash", Form::Hex(64, 64);
    CDHASH: "hash.cdhash", Form::Hex(40, usize::MAX);
    IMPFUZZY: "hash.impfuzzy", Form::Fuzzy;
    MD5: "hash.md5", Form::Hex(32, 32);
    PEHASH: "pe.pehash", Form::Hex(40, 40);
    SHA1: "hash.sha1", Form::Hex(40, 40);
    SHA224: "hash.sha224", Form::Hex(56, 56);
    SHA256: "hash.sha256", Form::Hex(64, 64);
    SHA384: "hash.sha384", Form::Hex(96, 96);
    SHA3_224: "hash.sha3_224", Form::Hex(56, 56);
    SHA3_256: "hash.sha3_256", Form::Hex(64, 64);
    SHA3_384: "hash.sha3_384", Form::Hex(96, 96);
    SHA3_512: "hash.sha3_512", Form::Hex(128, 128);
    SHA512: "hash.sha512", Form::Hex(128, 128);
    SHA512_224: "hash.sha512_224", Form::Hex(56, 56);
    SHA512_256: "hash.sha512_256", Form::Hex(64, 64);
    SSDEEP: "hash.ssdeep", Form::Fuzzy;
    TLSH: "hash.tlsh", Form::Tlsh(35);
}

pub(crate) static IMPHASH: HashRule = HashRule {
    field: CATALOGUE.id("threat.indicator.file.pe.imphash"),
    also: Some(CATALOGUE.id("threat.indicator.file.pe.import_hash")),
    form: Form::Hex(32, 32),
    related: true,
};

/// `t1` and 70 digits, or the digits alone.
pub(crate) static TELFHASH: HashRule = HashRule {
    field: CATALOGUE.id("threat.indicator.file.elf.telfhash"),
    also: None,
    form: Form::Hex(70, 72),
    related: true,
};

/// A similarity key, not a digest.
pub(crate) static VHASH: HashRule = HashRule {
    field: CATALOGUE.id("threat.indicator.file.hash.vhash"),
    also: None,
    form: Form::Opaque,
    related: false,
};

impl Form {
    /// The text as its field has it; `None` if it is not of this form.
    pub(crate) fn read(self, text: &str) -> Option<Cow<'_, str>> {
        let text = text.trim();
        match self {
            Form::Hex(from, to) => {
                let digits = strip_t1(text, to == 72);
                let fits = (from..=to).contains(&text.len())
                    && words::is_hex(digits)
                    && (to != 72 || digits.len() == from || digits.len() == to);
                fits.then(|| lower(text))
            }
            Form::Fuzzy => {
                let mut parts = text.split(':');
                let number = parts.next()?;
                let fits = !number.is_empty()
                    && number.bytes().all(|byte| byte.is_ascii_digit())
                    && parts.next().is_some_and(|part| !part.is_empty())
                    && parts.next().is_some()
                    && parts.next().is_none();
                fits.then_some(Cow::Borrowed(text))
            }
            Form::Tlsh(from) => {
                let digits = strip_t1(text, true);
                (digits.len() >= from && words::is_hex(digits)).then_some(Cow::Borrowed(text))
            }
            Form::Opaque => (!text.is_empty()).then_some(Cow::Borrowed(text)),
        }
    }
}

/// `so many` hex digits in lower case.
pub(crate) fn hex(text: &str, digits: usize) -> Option<Cow<'_, str>> {
    Form::Hex(digits, digits).read(text)
}

fn strip_t1(text: &str, perhaps: bool) -> &str {
    match text.get(..2) {
        Some(prefix) if perhaps && prefix.eq_ignore_ascii_case("t1") => {
            text.get(2..).unwrap_or_default()
        }
        _ => text,
    }
}

/// In lower case; borrowed if it is already.
pub(crate) fn lower(text: &str) -> Cow<'_, str> {
    if !words::is_ascii_lower(text) && text.chars().any(char::is_uppercase) {
        Cow::Owned(text.to_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let read = |form: Form, text: &str| form.read(text).map(Cow::into_owned);
        let md5 = "0123456789ABCDEF0123456789abcdef";
        assert_eq!(read(Form::Hex(32, 32), md5), Some(md5.to_lowercase()));
        assert_eq!(read(Form::Hex(32, 32), &md5[1..]), None);
        assert_eq!(read(Form::Hex(32, 32), &md5.replace('0', "g")), None);
        assert_eq!(
            read(Form::Fuzzy, "3:AbC:dEf\n").as_deref(),
            Some("3:AbC:dEf")
        );
        for bad in ["x:a:b", "3:a", "3:a:b:c", ":a:b", ""] {
            assert_eq!(read(Form::Fuzzy, bad), None, "{bad}");
        }
        let tlsh = "a".repeat(70);
        assert!(read(Form::Tlsh(35), &format!("T1{tlsh}")).is_some());
        assert_eq!(read(Form::Tlsh(35), &tlsh[..34]), None);
        assert!(TELFHASH.form.read(&format!("t1{tlsh}")).is_some());
        assert!(TELFHASH.form.read(&tlsh).is_some());
        assert!(TELFHASH.form.read(&"a".repeat(71)).is_none());
        assert!(TELFHASH.form.read(&"a".repeat(72)).is_some());
        assert!(CDHASH.form.read(&"A".repeat(41)).is_some());
        assert!(CDHASH.form.read(&"A".repeat(39)).is_none());
        assert_eq!(read(Form::Opaque, "01XyZ").as_deref(), Some("01XyZ"));
        assert_eq!(read(Form::Opaque, ""), None);
    }
}
