//! Folders that no other user may write to: compiled mappings in them are native code that runs
//! as it is.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use crate::error::{IoContext, StoreError};

/// Write permission for group and others.
const WRITE_BY_OTHERS: u32 = 0o022;
const WRITE_BY_ALL: u32 = 0o002;
const MODE: u32 = 0o7777;
const ROOT: u32 = 0;

/// Makes a folder that only its owner may enter, or checks the one that is there: it must belong
/// to this user, or to root as a mounted volume does. What others may write of this user's own
/// folder is taken from them.
///
/// # Errors
/// When the folder cannot be made, belongs to another user, or everybody can write to it.
pub fn private_folder(folder: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .context("could not create the folder", folder)?;
    let metadata = fs::metadata(folder).context("could not look at", folder)?;
    let user = rustix::process::geteuid().as_raw();
    check(folder, metadata.uid(), metadata.mode() & MODE, user)
}

fn check(folder: &Path, owner: u32, mode: u32, user: u32) -> Result<(), StoreError> {
    if owner == user {
        if mode & WRITE_BY_OTHERS == 0 {
            return Ok(());
        }
        fs::set_permissions(folder, Permissions::from_mode(mode & !WRITE_BY_OTHERS))
            .context("could not take the write permission of others from", folder)?;
        tracing::warn!(
            folder = %folder.display(),
            "other users could write to this folder, took that permission from them"
        );
        return Ok(());
    }
    if owner != ROOT {
        return Err(StoreError::OtherOwner {
            folder: folder.to_owned(),
            owner,
            user,
        });
    }
    match mode & WRITE_BY_ALL {
        0 => Ok(()),
        _ => Err(StoreError::WritableByAll {
            folder: folder.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(folder: &Path) -> u32 {
        fs::metadata(folder).unwrap().mode() & MODE
    }

    #[test]
    fn a_new_folder_is_the_owners_and_an_open_one_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("a/b");
        private_folder(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
        for (before, after) in [(0o777, 0o755), (0o775, 0o755), (0o750, 0o750)] {
            fs::set_permissions(&new, Permissions::from_mode(before)).unwrap();
            private_folder(&new).unwrap();
            assert_eq!(mode(&new), after);
        }
    }

    #[test]
    fn a_folder_of_another_user_is_refused_and_a_mounted_volume_is_not() {
        let folder = Path::new("/nowhere");
        let error = check(folder, 1_001, 0o700, 1_000).unwrap_err();
        assert!(matches!(error, StoreError::OtherOwner { .. }), "{error}");
        assert!(check(folder, 1_001, 0o700, ROOT).is_err());
        check(folder, ROOT, 0o2775, 1_000).unwrap();
        let error = check(folder, ROOT, 0o777, 1_000).unwrap_err();
        assert!(matches!(error, StoreError::WritableByAll { .. }), "{error}");
    }
}
