//! Document ids.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha1::{Digest, Sha1};

/// Base64 of SHA-1 over, for each part, one byte 0 and the part: 28 characters.
pub fn sha1_base64(parts: &[&str]) -> String {
    STANDARD.encode(sha1(parts))
}

/// The same in the alphabet for URLs and without padding: 27 characters.
pub fn sha1_base64url(parts: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode(sha1(parts))
}

/// The SHA-1 of bytes in hexadecimal digits.
pub fn sha1_hex(bytes: &[u8]) -> String {
    let digest = Sha1::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha1(parts: &[&str]) -> impl AsRef<[u8]> {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update([0]);
        hash.update(part.as_bytes());
    }
    hash.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two ids that another implementation of the rule made.
    #[test]
    fn checked_values() {
        assert_eq!(
            sha1_base64(&["572b4ab3-1af0-4d91-9cd5-07a1c0a8ab16"]),
            "q6lpiHbh9egUDLtW5bXtByUtRaw="
        );
        assert_eq!(
            sha1_base64(&[
                "3b322e1a-1dd8-490c-ab96-12e1bc3ee6a3",
                "ff97cc32-815e-4fc9-9d4b-cab9822027a6"
            ]),
            "KvRh9QLuDtDdtSuGcmMr2GYNDEM="
        );
    }

    #[test]
    fn for_urls() {
        let id = sha1_base64url(&["572b4ab3-1af0-4d91-9cd5-07a1c0a8ab16"]);
        assert_eq!(id, "q6lpiHbh9egUDLtW5bXtByUtRaw");
        assert_eq!(
            sha1_base64url(&[""]),
            sha1_base64(&[""])
                .trim_end_matches('=')
                .replace('+', "-")
                .replace('/', "_")
        );
    }
}
