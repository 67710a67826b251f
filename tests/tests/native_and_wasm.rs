//! The component gives byte by byte what its mapping gives as a library: what is tested without
//! wasm holds inside it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

use mapping::{Mapping, Origin, Outcome, Rejection};
use mapping_ecs_1_12::Ecs112;
use mapping_ecs_9::Ecs9;
use misp_ecs_tests::events;
use pipeline::Mapped;
use runtime::{Engine, LoadedMapping, Probe, RuntimeOptions};
use serde_json::json;

const NOW_MS: i64 = 1_767_225_600_000;

/// Everything of a document, of either side.
macro_rules! parts {
    ($document:expr) => {{
        let document = $document;
        let notes = document.notes.iter();
        (
            document.id.clone(),
            document.attribute.clone(),
            document.attribute_timestamp,
            format!("{:?} {:?}", document.operation, document.dataset),
            (
                document.timestamp_ms,
                document.modified_ms,
                document.expires_ms,
            ),
            document.fingerprint,
            String::from_utf8(document.body.to_vec()).unwrap(),
            notes
                .map(|note| format!("{:?} {:?} {}", note.kind, note.field, note.text))
                .collect::<Vec<_>>(),
        )
    }};
}

/// A component, and the same input through the library.
struct Both {
    engine: Engine,
    loaded: LoadedMapping,
    /// Documents that were compared.
    compared: usize,
}

impl Both {
    fn new(package: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let component = component_build::build(&root, package, target).unwrap();
        let engine = Engine::new(&RuntimeOptions::default()).unwrap();
        Self {
            loaded: engine.load(&component).unwrap(),
            engine,
            compared: 0,
        }
    }

    fn same<M: Mapping>(&mut self, what: &str, input: &[u8], settings: &[u8], origin: Origin) {
        let of_host = runtime::Origin {
            name: origin.name.clone(),
            url: origin.url.clone(),
            static_fields: origin.static_fields.clone(),
        };
        let mut probe = Probe::start(&self.engine, &self.loaded, settings, &of_host).unwrap();
        let wasm = probe.transform_any(input, NOW_MS).unwrap();
        let native = M::new(settings, origin).unwrap().transform(input, NOW_MS);
        self.compared += same(what, native, wasm);
    }

    /// The golden folders of a crate.
    fn golden<M: Mapping>(&mut self, package: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
        let entries = fs::read_dir(root.join(package).join("tests/golden")).unwrap();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        assert!(folders.len() > 15, "{folders:?}");
        for folder in folders {
            let optional = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
            let url = fs::read_to_string(folder.join("url.txt")).ok();
            let origin = Origin {
                name: "example".to_owned(),
                url: url.map(|url| url.trim().to_owned()),
                static_fields: optional("static-fields.json"),
            };
            let input = fs::read(folder.join("input.json")).unwrap();
            let what = folder.display().to_string();
            self.same::<M>(&what, &input, &optional("settings.json"), origin);
        }
    }

    /// The made-up events.
    fn demo<M: Mapping>(&mut self) {
        for event in events::demo() {
            let what = event["info"].to_string();
            let input = json!({"Event": event}).to_string();
            self.same::<M>(&what, input.as_bytes(), b"{}", Origin::default());
        }
    }
}

/// How many documents there are, once all is the same.
fn same(what: &str, native: Result<Outcome, Rejection>, wasm: Mapped) -> usize {
    let (native, wasm) = match (native, wasm) {
        (Ok(native), Ok(wasm)) => (native, wasm),
        (Err(native), Err(wasm)) => {
            assert_eq!(text(&native), wasm.text, "{what}");
            return 0;
        }
        (native, wasm) => panic!("{what}: {native:?}, and in wasm {wasm:?}"),
    };
    assert_eq!(native.event, wasm.event, "{what}");
    for (one, other) in native.documents.iter().zip(&wasm.documents) {
        assert_eq!(parts!(one), parts!(other), "{what}");
        let (one, other) = (native.facts_of(one).unwrap(), &other.facts);
        // Two types with the same members.
        assert_eq!(format!("{one:?}"), format!("{other:?}"), "{what}");
    }
    assert_eq!(native.documents.len(), wasm.documents.len(), "{what}");
    let refused = native.refused.iter();
    let of_native: Vec<_> = refused
        .map(|refused| (refused.attribute.clone(), text(&refused.reason).to_owned()))
        .collect();
    let refused = wasm.refused.iter();
    let of_wasm: Vec<_> = refused
        .map(|refused| (refused.attribute.clone(), refused.reason.text.clone()))
        .collect();
    assert_eq!(of_native, of_wasm, "{what}");
    let tallies = |one: (&String, &Option<String>, u32)| format!("{one:?}");
    let of_native = native.tallies.iter();
    let of_wasm = wasm.tallies.iter();
    assert_eq!(
        of_native
            .map(|one| tallies((&one.attribute_type, &one.indicator_type, one.count)))
            .collect::<Vec<_>>(),
        of_wasm
            .map(|one| tallies((&one.attribute_type, &one.indicator_type, one.count)))
            .collect::<Vec<_>>(),
        "{what}"
    );
    native.documents.len()
}

fn text(rejection: &Rejection) -> &str {
    match rejection {
        Rejection::Malformed(text)
        | Rejection::Unsupported(text)
        | Rejection::Invalid(text)
        | Rejection::Other(text) => text,
    }
}

fn holds<M: Mapping>(component: &str, package: &str) {
    let mut both = Both::new(component);
    both.golden::<M>(package);
    both.demo::<M>();
    assert!(both.compared > 1_000, "{} documents", both.compared);
}

#[test]
fn ecs_9_gives_the_same_bytes() {
    holds::<Ecs9>("component-ecs-9", "mapping-ecs-9");
}

#[test]
fn ecs_1_12_gives_the_same_bytes() {
    holds::<Ecs112>("component-ecs-1-12", "mapping-ecs-1-12");
}
