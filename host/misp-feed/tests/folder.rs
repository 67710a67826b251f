//! Feeds in a folder, with a manifest and without.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests fail the test"
)]

mod common;

use std::fs::{File, create_dir, remove_file, rename, write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::{Reading, event, events, manifest, unread, uuid};
use misp_feed::{FeedOptions, FeedPlace};
use pipeline::{Class, Classify, Source};
use tempfile::TempDir;

fn reading(folder: &Path) -> Reading {
    Reading::new(FeedOptions::new(FeedPlace::Folder(folder.to_owned())))
}

/// Writes an event as a good feed does, aside and renamed, its file of this age.
fn put(folder: &Path, name: &str, text: &str, age: u64) {
    let aside = folder.join(".aside.json");
    write(&aside, text).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_777_593_600 - age);
    File::options()
        .append(true)
        .open(&aside)
        .unwrap()
        .set_modified(at)
        .unwrap();
    rename(aside, folder.join(name)).unwrap();
}

fn file(number: u32) -> String {
    format!("{}.json", uuid(number))
}

#[tokio::test]
async fn a_folder_with_a_manifest_is_a_feed() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path().join("manifest.json"),
        manifest(&[(1, 200), (2, 100), (3, 300)]),
    )
    .unwrap();
    put(folder.path(), &file(1), &event(1, 200), 0);
    put(folder.path(), &file(2), &event(2, 100), 0);
    // Not in the manifest: not in the feed.
    put(folder.path(), &file(9), &event(9, 900), 0);
    let mut reading = reading(&folder.path().join("manifest.json"));
    assert_eq!(reading.poll().await, [(2, 100), (1, 200)]);
    assert_eq!(reading.poll().await, []);
    put(folder.path(), &file(3), &event(3, 300), 0);
    put(folder.path(), &file(1), &event(1, 150), 0);
    write(
        folder.path().join("manifest.json"),
        manifest(&[(1, 150), (2, 100), (3, 300)]),
    )
    .unwrap();
    reading.restart();
    assert_eq!(reading.poll().await, [(1, 150), (3, 300)]);
}

#[tokio::test]
async fn a_folder_without_a_manifest_is_read_by_its_files() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), &file(1), &event(1, 100), 10);
    put(
        folder.path(),
        "misp.event.2.json",
        &format!(r#"{{"response": [{}]}}"#, event(2, 200)),
        30,
    );
    put(folder.path(), "notes.txt", "not for us", 0);
    write(folder.path().join(".hidden.json"), "{").unwrap();
    create_dir(folder.path().join("below.json")).unwrap();
    let mut reading = reading(folder.path());
    assert_eq!(reading.poll().await, [(2, 200), (1, 100)]);
    assert_eq!(reading.poll().await, []);
    // Its clock is its file's; that it goes back is a change as well.
    put(folder.path(), &file(1), &event(1, 101), 20);
    put(folder.path(), &file(3), &event(3, 1), 99);
    reading.restart();
    assert_eq!(reading.poll().await, [(3, 1), (1, 101)]);
    remove_file(folder.path().join(file(3))).unwrap();
    assert_eq!(reading.poll().await, []);

    let mut names = vec![uuid(2), uuid(3), uuid(1)];
    let page = reading
        .source
        .named_page(&mut names)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(events(page), [(2, 200)]);
    let page = reading
        .source
        .named_page(&mut names)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(events(page), [(1, 101)]);
    assert!(
        reading
            .source
            .named_page(&mut names)
            .await
            .unwrap()
            .is_none()
    );
    assert!(names.is_empty());
    // What is half there may be the one.
    write(folder.path().join("half.json"), "{").unwrap();
    let mut names = vec![uuid(3)];
    let page = reading.source.named_page(&mut names).await;
    assert_eq!(unread(&page.unwrap().unwrap()), [uuid(3)]);
}

#[tokio::test]
async fn a_folder_that_is_none_says_so() {
    let folder = TempDir::new().unwrap();
    let error = reading(folder.path()).page().await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    assert!(
        error
            .to_string()
            .contains("neither manifest.json nor event files"),
        "{error}"
    );
    let missing = folder.path().join("missing");
    let error = reading(&missing).page().await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    assert!(error.to_string().contains("missing"), "{error}");
    create_dir(folder.path().join("manifest.json")).unwrap();
    let error = reading(folder.path()).page().await.unwrap_err();
    assert!(error.to_string().contains("no plain file"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_in_place_of_a_file_keeps_nothing_waiting() {
    let folder = TempDir::new().unwrap();
    write(
        folder.path().join("manifest.json"),
        manifest(&[(1, 100), (2, 200)]),
    )
    .unwrap();
    std::os::unix::net::UnixListener::bind(folder.path().join(file(1))).unwrap();
    put(folder.path(), &file(2), &event(2, 200), 0);
    assert_eq!(reading(folder.path()).poll().await, [(2, 200)]);
}
