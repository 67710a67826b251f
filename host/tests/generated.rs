//! What is made of each mapping's catalogue: a page of fields, a component template, a JSON Schema.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails may panic"
)]

mod common;

use std::path::{Path, PathBuf};

use boon::{Compiler, Schemas};
use common::{misp_ecs, text};
use serde_json::Value;

const MAPPINGS: [&str; 2] = ["ecs-1.12", "ecs-9"];
const FILES: [(&str, &str); 3] = [
    ("markdown", "fields.md"),
    ("template", "component-template.json"),
    ("schema", "document.schema.json"),
];

fn folder(mapping: &str) -> PathBuf {
    let name = mapping.replace('.', "-");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../crates/mapping-{name}/generated"))
}

fn made(mapping: &str, format: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut command = misp_ecs(home.path());
    command.args(["mapping", "fields", mapping, "--format", format]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_generated_files_are_current() {
    for mapping in MAPPINGS {
        for (format, file) in FILES {
            let path = folder(mapping).join(file);
            let made = made(mapping, format);
            if std::env::var_os("UPDATE_GENERATED").is_some() {
                std::fs::create_dir_all(folder(mapping)).unwrap();
                std::fs::write(&path, made).unwrap();
                continue;
            }
            let current = std::fs::read_to_string(&path).unwrap();
            let same = current == made;
            assert!(
                same,
                "{} is old: run `cargo xtask generate`",
                path.display()
            );
        }
    }
}

#[test]
fn documents_of_the_golden_folders_are_valid_against_the_schema() {
    for mapping in MAPPINGS {
        let schema: Value = serde_json::from_str(&made(mapping, "schema")).unwrap();
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        compiler.add_resource("schema.json", schema).unwrap();
        let schema = compiler.compile("schema.json", &mut schemas).unwrap();
        let mut documents = 0;
        for line in golden(mapping) {
            let document: Value = serde_json::from_str(&line).unwrap();
            let body = &document["body"];
            if !body.is_object() {
                continue;
            }
            documents += 1;
            if let Err(error) = schemas.validate(body, schema) {
                panic!("{mapping}: {error:#}: {body}");
            }
            let mut other = body.clone();
            other["no_such_field"] = 1.into();
            assert!(schemas.validate(&other, schema).is_err());
        }
        assert!(documents > 200, "{mapping}: {documents}");
    }
}

/// Every line of every expected answer.
fn golden(mapping: &str) -> Vec<String> {
    let folders = folder(mapping).join("../tests/golden");
    let mut lines = Vec::new();
    for folder in std::fs::read_dir(folders).unwrap() {
        let expected = folder.unwrap().path().join("expected.ndjson");
        if let Ok(text) = std::fs::read_to_string(expected) {
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    lines
}
