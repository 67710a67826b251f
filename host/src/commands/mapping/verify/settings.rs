//! Settings that must be taken and settings that must not.

use runtime::StartError;
use serde_json::Value;

use super::Subject;
use super::report::Report;

/// No mapping has a setting of this name.
const UNKNOWN: &str = "no_setting_has_this_name";

/// Whether the mapping starts at all.
pub(super) fn check(subject: &Subject, report: &mut Report) -> bool {
    let mut probe = match subject.start() {
        Ok(probe) => probe,
        Err(error) => {
            report.fail(
                "starts",
                error,
                "give settings that it takes with --settings, or mend the constructor",
            );
            return false;
        }
    };
    report.ok("starts", "with the settings given");
    let request = probe.request();
    match request.as_deref().map(serde_json::from_str::<Value>) {
        Ok(Ok(Value::Object(flags))) => {
            report.ok("request", format!("{} search flags", flags.len()));
        }
        Ok(_) => report.fail(
            "request",
            "not a JSON object",
            "return `{}` if no search flags of MISP are needed",
        ),
        Err(fault) => report.fail("request", fault, "return `{}`"),
    }
    report.none(
        "settings",
        &taken(subject),
        "no bytes are no settings; an unknown key, no JSON and no object are refused",
        "a typing error in a user's settings must be an error that names the key: see `mapper` in wit/README.md",
    );
    true
}

fn taken(subject: &Subject) -> Vec<String> {
    let mut problems = Vec::new();
    // Where `{}` is not enough, no bytes are not either.
    let no_bytes_differ = subject.start_with(b"{}").is_ok() && subject.start_with(b"").is_err();
    if no_bytes_differ {
        problems.push("`{}` is taken and no bytes are not".to_owned());
    }
    let mut unknown = subject.settings.clone();
    unknown.insert(UNKNOWN.to_owned(), Value::from(1));
    match subject.start_with(Value::Object(unknown).to_string().as_bytes()) {
        Err(StartError::UnknownKey(text)) if text.contains(UNKNOWN) => {}
        Err(StartError::UnknownKey(text)) => {
            problems.push(format!("unknown-key does not name the key: {text}"));
        }
        Err(error) => problems.push(format!("an unknown key is refused as: {error}")),
        Ok(_) => problems.push(format!("the unknown key `{UNKNOWN}` is taken")),
    }
    for bad in ["[", "[]", "1"] {
        match subject.start_with(bad.as_bytes()) {
            Err(StartError::Malformed(_)) => {}
            Err(error) => problems.push(format!("the settings `{bad}` are refused as: {error}")),
            Ok(_) => problems.push(format!("the settings `{bad}` are taken")),
        }
    }
    problems
}
