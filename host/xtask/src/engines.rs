//! `cargo xtask engines`: every artifact in engines that are not ours, against what the
//! same code gives natively, byte for byte.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use misp_ecs_tests::events;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Deserializer, Value, json};

use crate::tools::{cargo, exists, root, run, skipped, target};
use crate::{adapters, component, pipelines};

/// Settings that are baked in, and that change every document.
const BAKED: &str = r#"{"adapter":{"envelope":false,"mapping":"ecs-1.12","instance":"baked"}}"#;

/// Runs all of them. Where a tool cannot be had it says so; in CI that is an error.
pub(crate) fn check() -> anyhow::Result<()> {
    for tool in ["node", "npm", "go", "python3"] {
        if tool != "go" && !exists(tool) || tool == "go" && !has_go() {
            return skipped(&format!("{tool} is not installed"));
        }
    }
    let work = Work::prepare()?;
    // A registry has its moments.
    let installed = work.install().or_else(|_| work.install());
    if let Err(error) = installed.or_else(|_| work.install()) {
        return skipped(&format!("the engines cannot be had: {error:#}"));
    }
    work.command()?;
    work.filter()?;
    pipelines::check(&work.folder, &work.adapters, &work.events)?;
    work.processor()?;
    work.mapping()?;
    work.baked()
}

fn has_go() -> bool {
    let version = Command::new("go").arg("version").output();
    version.is_ok_and(|output| output.status.success())
}

/// The folders, the input and what is expected of it.
struct Work {
    folder: PathBuf,
    adapters: PathBuf,
    /// Whole events, one a line.
    events: PathBuf,
    /// Their attributes, one a line.
    attributes: PathBuf,
}

/// How an answer holds documents.
#[derive(Clone, Copy)]
enum Form {
    /// One a line.
    Lines,
    /// `{"docs":[..]}`
    Docs,
    /// `{..}[[TS,{}],{..}]..`
    FanOut,
    /// `[..]`
    Arrays,
}

impl Work {
    fn prepare() -> anyhow::Result<Self> {
        adapters::build_all()?;
        component::build_all()?;
        let folder = target().join("engines");
        fs::create_dir_all(&folder)?;
        let work = Self {
            adapters: target().join("adapters"),
            events: folder.join("events.jsonl"),
            attributes: folder.join("attributes.jsonl"),
            folder,
        };
        let all = events::demo();
        let attributes = all.iter().flat_map(|event| {
            let of = |part: &Value| part["Attribute"].as_array().cloned().unwrap_or_default();
            let objects = event["Object"].as_array().into_iter().flatten();
            objects.flat_map(of).chain(of(event)).collect::<Vec<_>>()
        });
        fs::write(&work.attributes, lines(attributes))?;
        let all = all.iter().map(|event| json!({"Event": event}));
        fs::write(&work.events, lines(all))?;
        for (features, file) in [
            (&[][..], "native"),
            (&["--features", "public-suffix"], "native-psl"),
        ] {
            run(cargo()
                .args(["build", "--locked", "--package", "adapter-wasi-command"])
                .args(features))?;
            fs::copy(target().join("debug/misp-ecs-map"), work.folder.join(file))?;
        }
        Ok(work)
    }

    fn install(&self) -> anyhow::Result<()> {
        run(node("npm").args(["ci", "--no-audit", "--no-fund"]))?;
        let requirements = root().join("tests/engines/python/requirements.txt");
        run(Command::new("python3")
            .args(["-m", "venv"])
            .arg(self.folder.join("venv")))?;
        let pip = ["-m", "pip", "install", "--quiet", "--requirement"];
        run(self.python().args(pip).arg(requirements))?;
        run(Command::new("go")
            .current_dir(root().join("tests/engines/go"))
            .args(["build", "-o"])
            .arg(self.folder.join("processor"))
            .arg("."))
    }

    /// The command, WASI preview 1 and 2.
    fn command(&self) -> anyhow::Result<()> {
        for mapping in ["ecs-9", "ecs-1.12"] {
            let options = ["--mapping", mapping];
            let expected = self.native(&self.events, &options, &[])?;
            let preview_1 = node("node")
                .arg("wasi.mjs")
                .arg(self.adapter("misp_ecs.wasip1.wasm"))
                .args(options)
                .reads(&self.events)?;
            same(
                "preview 1 under Node's WASI",
                Form::Lines,
                &preview_1,
                &expected,
            )?;
        }
        let expected = self.native(&self.events, &[], &[])?;
        for file in ["misp_ecs.wasip1.wasm", "misp_ecs.wasip2.wasm"] {
            let command = self
                .script("command")
                .arg(self.adapter(file))
                .reads(&self.events)?;
            same(
                &format!("{file} under Python's wasmtime"),
                Form::Lines,
                &command,
                &expected,
            )?;
        }
        let jco = node("npx")
            .args(["jco", "run"])
            .arg(self.adapter("misp_ecs.wasip2.wasm"))
            .reads(&self.events)?;
        same("preview 2 under jco", Form::Lines, &jco, &expected)
    }

    /// The Fluent Bit filter, under V8 and wasmtime.
    fn filter(&self) -> anyhow::Result<()> {
        let module = self.adapter("misp_ecs_fluent_bit.wasm");
        for (function, form, input, mapping) in [
            ("misp_to_ecs_docs", Form::Docs, &self.events, "ecs-9"),
            (
                "misp_to_ecs_1_12_docs",
                Form::Docs,
                &self.events,
                "ecs-1.12",
            ),
            ("misp_to_ecs", Form::FanOut, &self.events, "ecs-9"),
            (
                "misp_attribute_to_ecs_9",
                Form::Lines,
                &self.attributes,
                "ecs-9",
            ),
            (
                "misp_attribute_to_ecs_1_12",
                Form::Lines,
                &self.attributes,
                "ecs-1.12",
            ),
        ] {
            let expected = self.native(input, &["--mapping", mapping], &[])?;
            let v8 = node("node")
                .arg("fluent_bit.mjs")
                .arg(&module)
                .arg(input)
                .arg(function)
                .gives()?;
            same(&format!("{function} under V8"), form, &v8, &expected)?;
            let wasmtime = self
                .script("filter")
                .arg(&module)
                .arg(input)
                .arg(function)
                .gives()?;
            same(
                &format!("{function} under Python's wasmtime"),
                form,
                &wasmtime,
                &expected,
            )?;
        }
        run(node("node")
            .arg("fluent_bit.mjs")
            .arg(&module)
            .arg(&self.attributes)
            .arg("--endurance"))?;
        run(self.script("trap").arg(&module).arg(&self.attributes))?;
        run(self.script("linear").arg(&module))
    }

    /// The processor of Redpanda Connect and Bento: their own code, on wazero.
    fn processor(&self) -> anyhow::Result<()> {
        let module = self.adapter("misp_ecs_connect.wasm");
        for (function, mapping) in [("process", "ecs-9"), ("misp_to_ecs_1_12", "ecs-1.12")] {
            let expected = self.native(&self.events, &["--mapping", mapping], &[])?;
            let processor = || {
                let mut command = Command::new(self.folder.join("processor"));
                command.arg(&module).arg(function).arg(&self.events);
                command
            };
            let arrays = processor().gives()?;
            same(
                &format!("{function} in the wasm processor"),
                Form::Arrays,
                &arrays,
                &expected,
            )?;
            // `unarchive` writes JSON anew: the same values, other bytes.
            let parted = values(&documents(
                Form::Lines,
                &processor().arg("unarchive").gives()?,
            )?)?;
            ensure!(
                parted == values(&expected)?,
                "{function}: unarchive gives other documents"
            );
        }
        Ok(())
    }

    /// The mapping component itself.
    fn mapping(&self) -> anyhow::Result<()> {
        let natively = |settings: &str, input: &Path| {
            let mut command = Command::new(self.folder.join("native-psl"));
            self.output(command.env("MISP_ECS_SETTINGS", settings), input)
        };
        let bare = r#"{"adapter":{"envelope":false}}"#;
        let expected = natively(bare, &self.events)?;
        // `transform` is the name of its instance.
        let in_host = natively(
            r#"{"adapter":{"envelope":false,"instance":"transform"}}"#,
            &self.events,
        )?;
        let component = target().join("mappings/ecs-9.component.wasm");
        run(cargo().args(["build", "--package", "misp-ecs", "--locked"]))?;
        let ours = Command::new(target().join("debug/misp-ecs"))
            .args(["transform", "--no-static-fields"])
            .arg(&self.events)
            .gives()?;
        same("the mapping in the host", Form::Lines, &ours, &in_host)?;
        let transpiled = self.folder.join("transpiled");
        run(node("npx")
            .args([
                "jco",
                "transpile",
                "--quiet",
                "--name",
                "mapping",
                "--out-dir",
            ])
            .arg(&transpiled)
            .arg(&component))?;
        fs::write(transpiled.join("package.json"), r#"{"type":"module"}"#)?;
        let jco = node("node")
            .arg("component.mjs")
            .arg(transpiled.join("mapping.js"))
            .arg(&self.events)
            .gives()?;
        same("the mapping under jco", Form::Lines, &jco, &expected)?;
        // One at a time: this wasmtime bounds what goes between host and guest in a call.
        let python = self
            .script("component")
            .arg(&component)
            .arg(&self.attributes)
            .gives()?;
        same(
            "the mapping under Python's wasmtime",
            Form::Lines,
            &python,
            &natively(bare, &self.attributes)?,
        )
    }

    /// Settings that are baked in hold in each core module.
    fn baked(&self) -> anyhow::Result<()> {
        let expected = self.native(&self.events, &[], &[("MISP_ECS_SETTINGS", BAKED)])?;
        let bake = |file: &str| {
            let mut bytes = fs::read(self.adapter(file))?;
            baked_settings::write(&mut bytes, BAKED.as_bytes())?;
            let path = self.folder.join(format!("baked-{file}"));
            fs::write(&path, bytes)?;
            anyhow::Ok(path)
        };
        let module = bake("misp_ecs_fluent_bit.wasm")?;
        let filter = node("node")
            .arg("fluent_bit.mjs")
            .arg(module)
            .arg(&self.events)
            .arg("misp_to_ecs_docs")
            .gives()?;
        same(
            "the filter with baked settings",
            Form::Docs,
            &filter,
            &expected,
        )?;
        let module = bake("misp_ecs.wasip1.wasm")?;
        let command = node("node")
            .arg("wasi.mjs")
            .arg(module)
            .reads(&self.events)?;
        same(
            "the command with baked settings",
            Form::Lines,
            &command,
            &expected,
        )?;
        let module = bake("misp_ecs.wasip2.wasm")?;
        let command = self.script("command").arg(module).reads(&self.events)?;
        same(
            "preview 2 with baked settings",
            Form::Lines,
            &command,
            &expected,
        )?;
        let module = bake("misp_ecs_connect.wasm")?;
        let mut processor = Command::new(self.folder.join("processor"));
        let arrays = processor
            .arg(module)
            .arg("process")
            .arg(&self.events)
            .gives()?;
        same(
            "the processor with baked settings",
            Form::Arrays,
            &arrays,
            &expected,
        )
    }

    fn adapter(&self, file: &str) -> PathBuf {
        self.adapters.join(file)
    }

    fn python(&self) -> Command {
        Command::new(self.folder.join("venv/bin/python"))
    }

    fn script(&self, way: &str) -> Command {
        let mut command = self.python();
        command
            .arg(root().join("tests/engines/python/engines.py"))
            .arg(way);
        command
    }

    /// What the command makes of a file natively.
    fn native(
        &self,
        input: &Path,
        options: &[&str],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Vec<String>> {
        let mut command = Command::new(self.folder.join("native"));
        self.output(command.args(options).envs(variables.iter().copied()), input)
    }

    fn output(&self, command: &mut Command, input: &Path) -> anyhow::Result<Vec<String>> {
        let found = documents(Form::Lines, &command.reads(input)?)?;
        ensure!(
            found.len() > 2_000,
            "only {} documents natively",
            found.len()
        );
        Ok(found)
    }
}

/// A program in the folder of the scripts.
fn node(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root().join("tests/engines"));
    command
}

trait Gives {
    /// What a program writes to stdout; it must end well.
    fn gives(&mut self) -> anyhow::Result<Vec<u8>>;
    /// The same with a file as its stdin.
    fn reads(&mut self, input: &Path) -> anyhow::Result<Vec<u8>>;
}

impl Gives for Command {
    fn gives(&mut self) -> anyhow::Result<Vec<u8>> {
        let program = self.get_program().to_owned();
        let words: Vec<_> = self.get_args().map(OsStr::to_owned).collect();
        // A file: Node leaves out what a pipe does not take at once.
        let answers = target().join("engines/answers");
        let status = self
            .stdout(File::create(&answers)?)
            .status()
            .with_context(|| format!("{} did not start", program.display()))?;
        ensure!(
            status.success(),
            "{} {words:?}: {status}",
            program.display()
        );
        Ok(fs::read(answers)?)
    }

    fn reads(&mut self, input: &Path) -> anyhow::Result<Vec<u8>> {
        self.stdin(File::open(input)?).gives()
    }
}

fn lines(values: impl Iterator<Item = Value>) -> String {
    values.map(|value| format!("{value}\n")).collect()
}

/// The documents in an engine's answers, as they stand.
fn documents(form: Form, answers: &[u8]) -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Docs {
        docs: Vec<Box<RawValue>>,
    }
    let mut found = Vec::new();
    let text = std::str::from_utf8(answers)?;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let some: Vec<Box<RawValue>> = match form {
            Form::Lines => vec![serde_json::from_str(line)?],
            Form::Docs => serde_json::from_str::<Docs>(line)?.docs,
            Form::Arrays => serde_json::from_str(line)?,
            Form::FanOut => {
                let values = Deserializer::from_str(line).into_iter::<Box<RawValue>>();
                let document = |(place, value): (usize, Box<RawValue>)| match place {
                    0 => Ok(value),
                    _ => serde_json::from_str::<(Value, Box<RawValue>)>(value.get())
                        .map(|event| event.1),
                };
                let values: Vec<_> = values.collect::<Result<_, _>>()?;
                values
                    .into_iter()
                    .enumerate()
                    .map(document)
                    .collect::<Result<_, _>>()?
            }
        };
        found.extend(some.iter().map(|one| one.get().to_owned()));
    }
    Ok(found)
}

fn values(documents: &[String]) -> anyhow::Result<Vec<Value>> {
    let all = documents
        .iter()
        .map(|document| serde_json::from_str(document));
    Ok(all.collect::<Result<_, _>>()?)
}

fn same(what: &str, form: Form, answers: &[u8], expected: &[String]) -> anyhow::Result<()> {
    let found = documents(form, answers).with_context(|| what.to_owned())?;
    let both = found.iter().zip(expected);
    if let Some((theirs, ours)) = both.clone().find(|(theirs, ours)| theirs != ours) {
        anyhow::bail!("{what}: another document than natively\n{theirs}\n{ours}");
    }
    ensure!(
        found.len() == expected.len(),
        "{what}: {} documents, natively {}",
        found.len(),
        expected.len()
    );
    println!("{what}: {} documents, each byte as natively", found.len());
    Ok(())
}
