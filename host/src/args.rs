//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Polls MISP and writes every attribute as an ECS threat-indicator document.
#[derive(Debug, Parser)]
#[command(name = "misp-ecs", version, about, max_term_width = 100, after_help = crate::exit::help())]
pub(crate) struct Args {
    /// How much to log on stderr: error, warn, info, debug, trace (default info; `transform` and `mapping`: warn).
    #[arg(long, global = true, env = "MISP_ECS_LOG", value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// Logs as JSON lines.
    #[arg(long, global = true)]
    pub(crate) log_json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Poll MISP and write documents: by interval, or one pass with --once.
    ///
    /// Without a configuration file, MISP_URL and MISP_API_KEY (or
    /// MISP_API_KEY_FILE) say what to poll, and documents go to stdout.
    Run(Run),
    /// Map files or standard input: pages, events, attributes, feed files; JSON or NDJSON.
    ///
    /// Exit code: 0 everything was mapped, 1 something was rejected or there was nothing to map,
    /// 2 wrong usage or a file that cannot be opened, 4 reading or writing failed.
    Transform(Transform),
    /// Show mappings: which there are, what one is, which fields it writes.
    Mapping {
        #[command(subcommand)]
        command: Mapping,
    },
    /// Try everything before the first run: configuration, MISP, key, filters, outputs.
    ///
    /// Exit code: 0 a run would work, 1 there are problems, 2 the configuration cannot be used.
    Check(Configured),
    /// Ask the running host how it is doing: health, counts at each stage, the last commit.
    ///
    /// Exit code: 0 healthy, 1 starting, degraded or behind, 4 an instance failed, 5 misp-ecs is not
    /// running.
    Status(Status),
    /// Compare what went out with what MISP has now: what is missing, stale or orphaned, by event.
    ///
    /// Changes nothing without --repair. Exit code: 0 nothing differs, 1 something differs, 3 the
    /// repair was held back.
    Audit(Audit),
    /// One pass that ends with a sweep: fetches what never came, withdraws what is gone.
    ///
    /// With a running host it does this at once. Exit code: 0 done, 3 deletes were held back, 4
    /// it failed.
    Sweep {
        #[command(flatten)]
        instance: OneInstance,
        /// Withdraw however much it is.
        #[arg(long)]
        confirm: bool,
    },
    /// Read and map again what went out under another mapping, and replace it.
    ///
    /// Only what differs is sent; what the mapping of now does not make any more is withdrawn.
    /// It goes on after a restart where it was. With a running host it does this at once.
    Reprocess(Reprocess),
    /// What was refused and why; ask for it again after a fix.
    DeadLetter {
        #[command(subcommand)]
        command: DeadLetter,
    },
    /// Put on a server what has to be there before documents come.
    Setup {
        #[command(subcommand)]
        command: Setup,
    },
    /// Rename or remove an instance in the state, after it was renamed in the configuration or
    /// taken out of it.
    Instance {
        #[command(subcommand)]
        command: Instance,
    },
    /// Show, export or forget what is remembered of earlier runs.
    State {
        #[command(subcommand)]
        command: State,
    },
    /// Print the reference of the configuration file.
    Config,
    /// Compile the component on standard input, within limits, for the process that started this.
    #[command(hide = true)]
    Compile {
        /// The folder of compiled components.
        cache: Option<PathBuf>,
    },
}

/// Where the configuration is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Configured {
    /// The configuration file (YAML). Without it: MISP_URL and MISP_API_KEY.
    #[arg(long, short, env = "MISP_ECS_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The folder that remembers what went out, before the configuration's `state.path`.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) state: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// One instance, or all of them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OneInstance {
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// Only this instance.
    #[arg(long, value_name = "NAME")]
    pub(crate) instance: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Audit {
    #[command(flatten)]
    pub(crate) instance: OneInstance,
    /// Also compare what is remembered with what this output really has: its ids and versions
    /// (`elasticsearch`, `mode: latest`).
    #[arg(long, value_name = "NAME")]
    pub(crate) output: Option<String>,
    /// Delete there what is not remembered, and send what is missing. The index must be this
    /// host's alone.
    #[arg(long, requires = "output")]
    pub(crate) repair: bool,
    /// Delete however much it is.
    #[arg(long, requires = "repair")]
    pub(crate) confirm: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetter {
    /// The reasons, most frequent first: how often, what of, which mapping or output, one example.
    List {
        #[command(flatten)]
        letters: Letters,
        /// As JSON, one group a line.
        #[arg(long)]
        json: bool,
    },
    /// The letters themselves as JSON lines, oldest first.
    Show {
        #[command(flatten)]
        letters: Letters,
        /// Only those of this group of `list`.
        #[arg(long, value_name = "N")]
        group: Option<usize>,
    },
    /// Fetch the events again and map and send what was refused of them.
    ///
    /// What is refused again has a new letter; the old ones count as done. With a running host it
    /// does this at once, else this is one pass.
    Replay(Letters),
}

/// Which letters.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Letters {
    #[command(flatten)]
    pub(crate) instance: OneInstance,
    /// Only what this output refused.
    #[arg(long, value_name = "NAME")]
    pub(crate) output: Option<String>,
    /// Only of this event, by uuid.
    #[arg(long, value_name = "UUID")]
    pub(crate) event: Option<String>,
    /// Only what was refused since then: a time, or how long ago, such as 7d.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Also letters that were replayed, or repeated later.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Setup {
    /// Make the templates and the index behind its write alias, or the data stream, for each output
    /// of the type `elasticsearch`, from the catalogue of the mapping. Running it again changes
    /// nothing; what somebody else made is never replaced.
    Elasticsearch {
        #[command(flatten)]
        configured: Configured,
        /// Only show what would be done. Needs no server.
        #[arg(long)]
        dry_run: bool,
        /// Only this output.
        #[arg(long, value_name = "NAME")]
        output: Option<String>,
        /// Delete an index that was made without its template, or has wrong field types, and make
        /// it anew; the next poll sends everything again.
        #[arg(long)]
        recreate: bool,
        /// For this mapping; may be repeated. Default: the configured one and the one at work.
        #[arg(long, value_name = "NAME|PATH|DIGEST")]
        mapping: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Reprocess {
    #[command(flatten)]
    pub(crate) instance: OneInstance,
    /// Every event published since then, whatever mapping it went out under: a time such as
    /// 2026-01-31 or 2026-01-31T12:00:00Z, or how long ago, such as 30d.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["event", "all"])]
    pub(crate) since: Option<String>,
    /// This event, by uuid.
    #[arg(long, value_name = "UUID", conflicts_with = "all")]
    pub(crate) event: Option<String>,
    /// Every event.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) configured: Configured,
    /// One pass over every instance, a summary on stderr, and the end. Exit code: 0 everything
    /// was delivered, 1 something was rejected or an output is behind, 3 deletes were held back, 4
    /// failed.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Transform {
    /// The mapping: a name or a component file.
    #[arg(long, value_name = "NAME|PATH", default_value = crate::mappings::DEFAULT)]
    pub(crate) mapping: String,
    /// The mapping's settings, a YAML or JSON file (what `mapping.settings` is in the configuration).
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// One line a record: every document with its id, operation, notes, and what was refused.
    #[arg(long, conflicts_with = "deletes")]
    pub(crate) envelope: bool,
    /// Print deleted attributes too, as tombstone lines.
    #[arg(long)]
    pub(crate) deletes: bool,
    /// Leave out the fields that do not come from MISP (agent.*, data_stream.*, event.module ..).
    #[arg(long)]
    pub(crate) no_static_fields: bool,
    /// Files; none or `-` is standard input.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Instance {
    /// Keep the state of an instance under another name. What both names know is merged.
    Rename {
        #[command(flatten)]
        configured: Configured,
        /// The name in the state.
        old: String,
        /// The name in the configuration.
        new: String,
    },
    /// Delete from the outputs what only this instance delivered, then forget the instance.
    Remove {
        #[command(flatten)]
        configured: Configured,
        /// The name in the state. It must not be in the configuration.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum State {
    /// Every instance, where its walk continues and when that was stored.
    Show(Configured),
    /// The same as JSON.
    Export(Configured),
    /// Forget an instance, or everything (the old file is kept aside): the next walk is a first one.
    Reset(OneInstance),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Mapping {
    /// The mappings that a name finds.
    List,
    /// What a mapping says of itself: version, digest, settings.
    Info {
        /// A name or a component file.
        #[arg(default_value = crate::mappings::DEFAULT)]
        mapping: String,
    },
    /// Every field that a document can hold.
    Fields {
        /// A name or a component file.
        #[arg(default_value = crate::mappings::DEFAULT)]
        mapping: String,
        /// How to print them.
        #[arg(long, value_enum, default_value_t = Format::Markdown)]
        format: Format,
    },
    /// Put another mapping to work, in the running host or at its next start.
    ///
    /// It is loaded, started with the configured settings and tried on a sample first; if that
    /// fails the old one stays (exit code 3). It stays active until the configuration names
    /// another.
    Use {
        #[command(flatten)]
        configured: Configured,
        /// A name, a component file, or the digest of one that was at work before.
        #[arg(value_name = "NAME|PATH|DIGEST")]
        mapping: String,
    },
    /// Put the mapping to work that was there before this one.
    Rollback(Configured),
    /// Every change of the active mapping, oldest first: time, cause (configured, use, rollback,
    /// fallback), digest.
    History(Configured),
    /// Check a mapping against the contract, sentence by sentence, on a made-up sample.
    ///
    /// Exit code: 0 it keeps all of it, 1 it does not, 2 there is no such mapping.
    Verify(Verify),
    /// What another mapping would change on your own events.
    ///
    /// Values of the types that a mapping calls private are not shown. Exit code: 0 no
    /// difference, 1 differences, 2 wrong usage, 4 a mapping failed.
    Diff(Diff),
    /// How fast a mapping is on this machine: compiling, the first batch, attributes a second, memory.
    Bench(Bench),
    /// Write a Rust project that builds into a mapping, to begin with.
    New {
        /// Its name: lower-case letters, digits and `-`.
        name: String,
        /// The folder; without it, one of that name.
        #[arg(long, value_name = "DIR")]
        path: Option<PathBuf>,
    },
    /// Write settings into an artifact, for engines that pass it none; without OUT, show them.
    ///
    /// The artifacts of other engines take the mapping's settings, and beside them `adapter`:
    /// mapping, instance, url, static_fields, envelope, deletes, errors, inbox. A mapping takes
    /// its own; what a configuration gives holds before them.
    Bake(Bake),
    /// Make a component of a core module: the last step of building a mapping.
    Componentize {
        /// What the compiler made for wasm32-unknown-unknown.
        #[arg(value_name = "CORE.wasm")]
        module: PathBuf,
        /// Where the component goes.
        #[arg(value_name = "OUT")]
        out: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Bake {
    /// The settings, a YAML or JSON file.
    #[arg(long, value_name = "FILE", requires = "out")]
    pub(crate) settings: Option<PathBuf>,
    /// A released .wasm file, or the name of a mapping.
    #[arg(value_name = "IN")]
    pub(crate) artifact: PathBuf,
    /// Where the artifact with its settings goes; it may be IN.
    #[arg(value_name = "OUT", requires = "settings")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    /// A name or a component file.
    pub(crate) mapping: String,
    /// Files as `transform` takes them; without any, a made-up sample.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The mapping's settings, a YAML or JSON file.
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Diff {
    /// The mapping at work: a name or a component file.
    pub(crate) old: String,
    /// The mapping that may replace it: a name or a component file.
    pub(crate) new: String,
    /// Files as `transform` takes them; without any, a made-up sample.
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// How many examples to show, no two of the same kind.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) examples: usize,
    /// The settings of both, a YAML or JSON file.
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// The settings of NEW, if they are others.
    #[arg(long, value_name = "FILE")]
    pub(crate) new_settings: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// A name or a component file.
    #[arg(default_value = crate::mappings::DEFAULT)]
    pub(crate) mapping: String,
    /// A folder of cases: each a folder with input.json, expected.ndjson and, if need be,
    /// settings.json and static-fields.json.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) golden: Option<PathBuf>,
    /// Write what the mapping answers as the expected.ndjson of each case.
    #[arg(long, requires = "golden")]
    pub(crate) accept: bool,
    /// The mapping's settings, a YAML or JSON file.
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table.
    Markdown,
    /// A list of objects.
    Json,
    /// A component template of Elasticsearch or OpenSearch.
    Template,
    /// A JSON Schema of the documents.
    Schema,
}
