//! A secret out of a file, which nothing shows.

use std::fmt;
use std::path::{Path, PathBuf};

/// A file that holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Nothing is in it.
    #[error("{} is empty: it should hold a secret and nothing else", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
}

/// A password or a token. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// What a file holds, without blanks and line ends around it.
    pub(crate) fn read(path: &Path) -> Result<Self, SecretError> {
        let text = std::fs::read_to_string(path).map_err(|source| SecretError::File {
            path: path.to_owned(),
            source,
        })?;
        match text.trim() {
            "" => Err(SecretError::Empty {
                path: path.to_owned(),
            }),
            secret => Ok(Self(secret.to_owned())),
        }
    }

    /// The secret itself, for the other side only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, " canary\r\n").unwrap();
        let secret = Secret::read(&path).unwrap();
        assert_eq!(secret.expose(), "canary");
        assert_eq!(format!("{secret:?}"), "Secret([redacted])");
        std::fs::write(&path, "\n").unwrap();
        let error = Secret::read(&path).unwrap_err().to_string();
        assert!(error.contains("secret is empty"), "{error}");
        let error = Secret::read(&folder.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }
}
