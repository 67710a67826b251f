//! What the commands of the README call: `cargo xtask demo`, `cargo xtask test` and more.
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a build tool talks to its user on the terminal"
)]

mod adapters;
mod arrows;
mod bench;
mod component;
mod demo;
mod dist;
mod engines;
mod generate;
mod instructions;
mod javascript;
mod pipelines;
mod release;
mod sbom;
mod soak;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Builds, demonstrates, tests, measures")]
struct Args {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build everything and poll a made-up MISP with it.
    Demo,
    /// Every check and test.
    Test,
    /// Build the mapping components into target/mappings and beside the binaries.
    Component,
    /// Build the artifacts for other engines into target/adapters.
    Adapters,
    /// Run every artifact in engines that are not ours.
    Engines,
    /// Build what is released, in target/dist.
    Dist,
    /// Measure; ratios within one run, because machines differ.
    Bench {
        /// Fewer repetitions.
        #[arg(long)]
        quick: bool,
        /// One JSON object on stdout and nothing else.
        #[arg(long)]
        json: bool,
    },
    /// Run the host for minutes with random faults on both sides, kills, restarts and swaps.
    Soak {
        /// For how long; the round that is under way then is finished.
        #[arg(long, default_value_t = 5)]
        minutes: u64,
        /// Where chance begins, to have the same acts again. Default: another one each time.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Count the instructions of the mappings under callgrind.
    Instructions {
        /// Write the counts down instead of comparing them.
        #[arg(long)]
        accept: bool,
    },
    /// Write generated pages anew.
    Generate,
}

fn main() -> ExitCode {
    match run(&Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> anyhow::Result<()> {
    match task {
        Task::Demo => demo::demo(),
        Task::Test => test::test(),
        Task::Instructions { accept } => instructions::check(*accept),
        Task::Component => {
            for path in component::build_all()? {
                println!("{}", path.display());
            }
            Ok(())
        }
        Task::Adapters => {
            for path in adapters::build_all()? {
                println!("{}", path.display());
            }
            Ok(())
        }
        Task::Engines => engines::check(),
        Task::Dist => dist::dist().map(drop),
        Task::Bench { quick, json } => bench::bench(*quick, *json),
        Task::Soak { minutes, seed } => soak::soak(*minutes, *seed),
        Task::Generate => generate::generate(),
    }
}
