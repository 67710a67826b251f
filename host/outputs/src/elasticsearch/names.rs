//! The names of indices, aliases and data streams.

use super::error::ElasticError;
use super::options::{ElasticMode, ElasticsearchOptions};

/// The module of Elastic's own integration.
const ELASTIC_MODULE: &str = "ti_misp";

/// What the names of an output are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) mode: ElasticMode,
    pub(super) namespace: String,
    /// The alias (latest) or the data stream (append): what is searched.
    pub(super) searched: String,
}

impl Names {
    /// The names of the options.
    ///
    /// # Errors
    /// When the server would not take them, or they are Elastic's own.
    pub(super) fn new(options: &ElasticsearchOptions) -> Result<Self, ElasticError> {
        let namespace = &options.namespace;
        if namespace.contains('-') || !is_name(namespace) {
            return refuse(format!(
                "`namespace: {namespace}` is no namespace: lower case letters, digits, `_` and `.`"
            ));
        }
        let searched = options.index.clone().unwrap_or_else(|| {
            let dataset = match options.mode {
                ElasticMode::Latest => "latest",
                ElasticMode::Append => "threat",
            };
            format!("logs-ti_misp_ecs.{dataset}-{namespace}")
        });
        if !is_name(&searched) {
            return refuse(format!(
                "`index: {searched}` is no name of an index: lower case letters, digits, `_`, `.` \
                 and `-`, not at its start, 200 bytes at most"
            ));
        }
        if is_elastics(&searched) && !options.force_names {
            return refuse(format!(
                "`index: {searched}` is a name of Elastic's own MISP integration: its templates, \
                 transforms and upgrades would work on these documents too; take another name, or \
                 set `force_names: true`"
            ));
        }
        Ok(Self {
            mode: options.mode,
            namespace: namespace.clone(),
            searched,
        })
    }

    /// Where documents of a mapping are written to: an alias (latest) or the data stream.
    ///
    /// # Errors
    /// When the mapping's name cannot be part of an index's.
    pub(super) fn of_mapping(&self, mapping: &str) -> Result<String, ElasticError> {
        if self.mode == ElasticMode::Append {
            return Ok(self.searched.clone());
        }
        if !is_name(mapping) {
            return refuse(format!(
                "the mapping's name `{mapping}` cannot be part of an index's name: lower case \
                 letters, digits, `_`, `.` and `-`"
            ));
        }
        Ok(format!("{}-{mapping}", self.searched))
    }
}

impl Names {
    /// The mapping whose documents an index of this name has: `ALIAS-MAPPING-000001` behind its
    /// write alias, or `ALIAS-MAPPING` as earlier versions made it.
    pub(super) fn mapping_of<'n>(&self, index: &'n str) -> Option<&'n str> {
        let mapping = index.strip_prefix(&self.searched)?.strip_prefix('-')?;
        let numbered = mapping.rsplit_once('-').filter(|(_, number)| {
            number.len() == FIRST.len() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        Some(numbered.map_or(mapping, |(mapping, _)| mapping))
    }
}

/// The number of the first index behind a write alias; a rollover counts on.
const FIRST: &str = "000001";

/// The first index behind a write alias.
pub(super) fn first_index(alias: &str) -> String {
    format!("{alias}-{FIRST}")
}

/// Every index that may be behind a write alias.
pub(super) fn indices_of(alias: &str) -> String {
    format!("{alias}-0*")
}

impl ElasticsearchOptions {
    /// Are the names, and the module that the documents name, free to use? To be asked at the
    /// start, with the `event.module` of the configuration.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check_names(&self, module: Option<&str>) -> Result<(), ElasticError> {
        Names::new(self)?;
        if module == Some(ELASTIC_MODULE) && !self.force_names {
            return refuse(format!(
                "`event.module: {ELASTIC_MODULE}` is that of Elastic's own MISP integration: its \
                 dashboards and rules would take these documents for its own; leave it at \
                 ti_misp_ecs, or set `force_names: true` of the output"
            ));
        }
        Ok(())
    }
}

fn refuse<T>(reason: String) -> Result<T, ElasticError> {
    Err(ElasticError::Options { reason })
}

/// `logs-ti_misp`, `logs-ti_misp.threat-default`, `logs-ti_misp_latest.threat-1`; not
/// `logs-ti_misp_ecs`.
fn is_elastics(name: &str) -> bool {
    let name = name.strip_prefix('.').unwrap_or(name);
    let rest = name.strip_prefix("logs-ti_misp");
    rest.is_some_and(|rest| !rest.starts_with("_ecs"))
}

/// Within what Elasticsearch and OpenSearch take, and short enough for what is added to it.
fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= 200
        && name.bytes().next().is_some_and(letter)
        && name
            .bytes()
            .all(|byte| letter(byte) || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(index: &str) -> ElasticsearchOptions {
        ElasticsearchOptions {
            index: Some(index.to_owned()),
            ..ElasticsearchOptions::default()
        }
    }

    #[test]
    fn names_are_the_documented_ones() {
        let mut options = ElasticsearchOptions::default();
        let names = Names::new(&options).unwrap();
        assert_eq!(names.searched, "logs-ti_misp_ecs.latest-default");
        assert_eq!(
            names.of_mapping("ecs-1.12").unwrap(),
            "logs-ti_misp_ecs.latest-default-ecs-1.12"
        );
        options.mode = ElasticMode::Append;
        options.namespace = "lab".to_owned();
        let names = Names::new(&options).unwrap();
        assert_eq!(
            names.of_mapping("ecs-9").unwrap(),
            "logs-ti_misp_ecs.threat-lab"
        );
    }

    #[test]
    fn an_index_names_its_mapping_in_both_layouts() {
        let names = Names::new(&ElasticsearchOptions::default()).unwrap();
        let alias = names.of_mapping("ecs-9").unwrap();
        for index in [
            alias.as_str(),
            &first_index(&alias),
            &format!("{alias}-000002"),
        ] {
            assert_eq!(names.mapping_of(index), Some("ecs-9"), "{index}");
        }
        assert_eq!(names.mapping_of("another"), None);
    }

    #[test]
    fn elastics_own_names_are_refused_unless_forced() {
        for name in [
            "logs-ti_misp.threat-default",
            "logs-ti_misp_latest.threat",
            "logs-ti_misp",
        ] {
            let error = named(name).check_names(None).unwrap_err().to_string();
            assert!(error.contains("force_names"), "{error}");
            let forced = ElasticsearchOptions {
                force_names: true,
                ..named(name)
            };
            forced.check_names(Some("ti_misp")).unwrap();
        }
        named("logs-ti_misp_ecs.mine")
            .check_names(Some("ti_misp_ecs"))
            .unwrap();
        let error = ElasticsearchOptions::default().check_names(Some("ti_misp"));
        assert!(error.unwrap_err().to_string().contains("event.module"));
    }

    #[test]
    fn what_the_server_would_not_take_is_refused() {
        for name in [
            "",
            "Upper",
            "-a",
            "a b",
            "a/b",
            "a,b",
            "a*",
            &"a".repeat(201),
        ] {
            Names::new(&named(name)).unwrap_err();
        }
        let names = Names::new(&ElasticsearchOptions::default()).unwrap();
        names.of_mapping("My mapping").unwrap_err();
        let namespace = ElasticsearchOptions {
            namespace: "a-b".to_owned(),
            ..ElasticsearchOptions::default()
        };
        Names::new(&namespace).unwrap_err();
    }
}
