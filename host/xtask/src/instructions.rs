//! Counts the instructions of the mappings, and holds them to what is written down.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::tools::{cargo, exists, root, run, target};

/// How far a count may be from what is written down, in percent: the C library chooses its
/// `memcmp` and `memcpy`, a tenth of all, by the processor.
const TOLERANCE: u64 = 10;
/// Attributes of the events that are mapped, all in all.
const FEW: u64 = 1_000;
/// The same another time: what they differ by is what the mapping costs.
const MANY: u64 = 6_000;

/// Instructions an attribute, by mapping and by the attributes of an event.
type Counts = BTreeMap<String, BTreeMap<u64, u64>>;

/// Counts, and compares or (`accept`) writes down.
pub(crate) fn check(accept: bool) -> anyhow::Result<()> {
    if !exists("valgrind") {
        if std::env::var_os("CI").is_none() {
            println!("SKIPPED: valgrind is not installed (`apt-get install valgrind`)");
            return Ok(());
        }
        run(Command::new("apt-get").arg("update"))?;
        run(Command::new("apt-get").args(["install", "-y", "valgrind"]))?;
    }
    run(cargo().args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "misp-ecs-instructions",
    ]))?;
    let path = root().join("tests/instructions/counts.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut known: Counts = serde_json::from_str(&text)?;
    let mut wrong = Vec::new();
    for (mapping, counts) in &mut known {
        for (attributes, known) in counts {
            let all = count(mapping, *attributes, MANY)? - count(mapping, *attributes, FEW)?;
            let an_attribute = all / (MANY - FEW);
            println!(
                "{mapping}, events of {attributes}: {an_attribute} instructions an attribute, \
                 {known} written down"
            );
            if an_attribute.abs_diff(*known) * 100 > *known * TOLERANCE {
                wrong.push(format!("{mapping} with events of {attributes}"));
            }
            if accept {
                *known = an_attribute;
            }
        }
    }
    if accept {
        let text = serde_json::to_string_pretty(&known)? + "\n";
        return Ok(std::fs::write(&path, text)?);
    }
    if !wrong.is_empty() {
        bail!(
            "{} moved by more than {TOLERANCE} %: if that is meant, `cargo xtask instructions \
             --accept` and say why in tests/instructions/README.md",
            wrong.join(" and ")
        );
    }
    Ok(())
}

/// Instructions for so many attributes in events of `attributes`.
fn count(mapping: &str, attributes: u64, all: u64) -> anyhow::Result<u64> {
    let program = target().join("release/misp-ecs-instructions");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .arg(mapping)
        .args([attributes, all / attributes].map(|number| number.to_string()))
        .output()
        .context("valgrind did not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let counted = said
        .lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    match counted {
        Some(counted) if output.status.success() => Ok(counted),
        _ => bail!("valgrind counted nothing for {mapping}: {said}"),
    }
}
