//! What the configuration says of an Elasticsearch or OpenSearch.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use units::{ByteSize, Duration};

use crate::tls::{Address, Tls};

/// Documents in Elasticsearch 8 or 9, or OpenSearch 2 or 3.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ElasticsearchOptions {
    /// The nodes, such as `https://elastic.example.org:9200`: the next is used when one cannot
    /// be reached. No user name or password in it. Another cluster behind them gets everything
    /// again.
    pub urls: Vec<Address>,
    /// The id of a deployment of Elastic Cloud, instead of `urls`.
    pub cloud_id: Option<String>,
    /// A file with an API key, `id:key` or as Kibana shows it encoded. Without it and the other
    /// two: the variable MISP_ECS_ELASTICSEARCH_API_KEY.
    pub api_key_file: Option<PathBuf>,
    /// A user's name, instead of an API key.
    pub username: Option<String>,
    /// A file with the user's password. Without it: the variable MISP_ECS_ELASTICSEARCH_PASSWORD.
    pub password_file: Option<PathBuf>,
    /// A file with a bearer token, such as a service account's, instead of an API key.
    pub bearer_file: Option<PathBuf>,
    /// How the connection is secured.
    pub tls: Tls,
    /// A proxy URL, such as `http://proxy.example.org:3128`; `none` for no proxy. Not given: the
    /// variables `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`.
    pub proxy: Option<Address>,
    /// `latest`: one document an indicator, replaced and deleted as MISP changes. `append`: a
    /// data stream with every change as a document of its own. Default: latest.
    pub mode: ElasticMode,
    /// The last part of the names, without `-`. Default: default.
    pub namespace: String,
    /// Another name: that of the alias (latest; documents of a mapping are written to this name, `-`
    /// and the mapping's name, an alias of an index with `-000001` after it) or of the data stream
    /// (append). Default: `logs-ti_misp_ecs.latest-NAMESPACE` or
    /// `logs-ti_misp_ecs.threat-NAMESPACE`.
    pub index: Option<String>,
    /// Take names of Elastic's own MISP integration (`logs-ti_misp.*`, the module `ti_misp`): its
    /// templates, transforms and upgrades then work on these documents too. Default: false.
    pub force_names: bool,
    /// Write only to what `misp-ecs setup elasticsearch` made: its templates and the alias or data
    /// stream. Default: true.
    pub require_templates: bool,
    /// The most bytes of one bulk, before compression; a larger document goes alone. Default:
    /// 5MiB.
    pub max_bulk_bytes: ByteSize,
    /// The most documents of one bulk. Default: 1000.
    pub max_bulk_count: u32,
    /// The most bulks under way at once. Default: 2.
    pub in_flight: u32,
    /// Compress what is sent. Default: true.
    pub gzip: bool,
    /// How long a connection may take to come about. Default: 10s.
    pub connect_timeout: Duration,
    /// How long nothing may come. Default: 90s.
    pub read_timeout: Duration,
    /// The wait before items that were turned away for now (429, 5xx) are sent again; it doubles
    /// up to 10s. After five tries the whole batch waits. Default: 500ms.
    pub retry_wait: Duration,
    /// Stop rather than fill the dead letters when more than this percentage of the last 200
    /// documents, or of a batch of at least 100, are refused. The batch comes again until fewer
    /// of it are refused. Default: 50; 100 = never.
    pub breaker_percent: u8,
    /// How long documents of the data stream are kept (append, Elasticsearch only), from
    /// `setup`. Default: 0 = for ever.
    pub retention: Duration,
    /// Given, this output is optional: when it has failed for so long, the others go on without
    /// it, and it gets what it missed, by a walk of its own, when it answers again. Default: the
    /// output is required, every page waits for it.
    pub optional_after: Option<Duration>,
}

impl Default for ElasticsearchOptions {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            cloud_id: None,
            api_key_file: None,
            username: None,
            password_file: None,
            bearer_file: None,
            tls: Tls::default(),
            proxy: None,
            mode: ElasticMode::Latest,
            namespace: "default".to_owned(),
            index: None,
            force_names: false,
            require_templates: true,
            max_bulk_bytes: ByteSize::mib(5),
            max_bulk_count: 1_000,
            in_flight: 2,
            gzip: true,
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(90),
            retry_wait: Duration::from_millis(500),
            optional_after: None,
            breaker_percent: 50,
            retention: Duration::ZERO,
        }
    }
}

/// What becomes of a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ElasticMode {
    /// One document an indicator, as MISP has it now.
    #[default]
    Latest,
    /// Every change is a document of its own in a data stream.
    Append,
}

impl ElasticsearchOptions {
    /// These nodes with every other setting at its default.
    #[must_use]
    pub fn new(urls: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            urls: urls.into_iter().map(|url| Address(url.into())).collect(),
            ..Self::default()
        }
    }

    /// Every file that is named, for whoever resolves relative paths.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let secrets = [
            &mut self.api_key_file,
            &mut self.password_file,
            &mut self.bearer_file,
        ];
        secrets.into_iter().flatten().chain(self.tls.files_mut())
    }
}
