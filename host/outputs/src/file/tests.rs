use std::path::PathBuf;
use std::sync::Arc;

use pipeline::{Class, Classify, Output, Verdict};

use super::{FileOptions, FileOutput};
use crate::contract::{self, Subject, fixtures::put};
use crate::lines::Common;
use crate::{FileMode, Fsync};

struct Folder {
    folder: tempfile::TempDir,
    fsync: Fsync,
}

impl Folder {
    fn path(&self) -> PathBuf {
        self.folder.path().join("deep/er/documents.ndjson")
    }
}

impl Subject for Folder {
    fn output(&self, common: Common) -> Arc<dyn Output> {
        let options = FileOptions {
            deletes: common.deletes,
            envelope_field: common.envelope_field,
            fsync: self.fsync,
            ..FileOptions::new(self.path())
        };
        Arc::new(FileOutput::new("out", &options))
    }

    fn arrived(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap_or_default()
    }

    fn clear(&self) {
        let _absent = std::fs::remove_file(self.path());
    }
}

#[tokio::test]
async fn the_contract_holds() {
    for fsync in [Fsync::Never, Fsync::Batch] {
        contract::holds(&Folder {
            folder: tempfile::tempdir().unwrap(),
            fsync,
        })
        .await;
    }
}

#[tokio::test]
async fn nothing_is_made_before_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/documents.ndjson");
    let output = FileOutput::new("out", &FileOptions::new(&path));
    output.check().await.unwrap();
    output.write(&[]).await.unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let output = FileOutput::open("out", &FileOptions::new(&path)).unwrap();
    assert_eq!(output.name(), "out");
    assert!(path.exists());
}

#[tokio::test]
async fn a_second_writer_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let options = FileOptions::new(folder.path().join("documents.ndjson"));
    let first = FileOutput::open("first", &options).unwrap();
    let error = FileOutput::open("second", &options).err().unwrap();
    assert_eq!(error.class(), Class::Fatal);
    assert!(
        error
            .to_string()
            .contains("another program or output writes"),
        "{error}"
    );
    let second = FileOutput::new("second", &options);
    second.check().await.unwrap();
    second.write(&[put("a", 1)]).await.unwrap_err();
    drop(first);
    assert_eq!(
        second.write(&[put("a", 1)]).await.unwrap(),
        [Verdict::Stored]
    );
}

#[tokio::test]
async fn what_is_in_the_way_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let cases = [
        (
            folder.path().to_owned(),
            Class::Fatal,
            "is not a regular file",
        ),
        (
            folder.path().join("file/x"),
            Class::Transient { after: None },
            "file",
        ),
        (
            PathBuf::from("/dev/null"),
            Class::Fatal,
            "is not a regular file",
        ),
    ];
    for (path, class, text) in cases {
        let output = FileOutput::new("out", &FileOptions::new(&path));
        for error in [
            output.check().await.unwrap_err(),
            output.write(&[put("a", 1)]).await.unwrap_err(),
        ] {
            assert_eq!(error.class(), class, "{error}");
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}

fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn new_files_have_the_mode_also_after_a_rotation() {
    for (given, expected) in [(None, 0o600), (Some("0640"), 0o640), (Some("666"), 0o666)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("documents.ndjson");
        let options = FileOptions {
            mode: given.map(|text| FileMode::try_from(text.to_owned()).unwrap()),
            rotate_size: units::ByteSize(1),
            ..FileOptions::new(&path)
        };
        let output = FileOutput::new("out", &options);
        for version in 1..=3 {
            output.write(&[put("a", version)]).await.unwrap();
        }
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(files.len(), 3);
        for file in files {
            assert_eq!(mode(&file.unwrap().path()), expected);
        }
    }
}

#[tokio::test]
async fn an_existing_file_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("documents.ndjson");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = FileOutput::new("out", &FileOptions::new(&path));
    output.write(&[put("a", 1)]).await.unwrap();
    assert_eq!(mode(&path), 0o644);
}

#[test]
fn a_mode_is_three_or_four_octal_digits() {
    for text in ["0600", "640", "0777"] {
        assert!(FileMode::try_from(text.to_owned()).is_ok(), "{text}");
    }
    for text in ["", "0o600", "+600", "0800", "0400", "4755", "00600", "rw"] {
        assert!(FileMode::try_from(text.to_owned()).is_err(), "{text}");
    }
}
