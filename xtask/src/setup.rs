//! `cargo xtask setup`: observe the machine, plan what is missing, carry the plan out.

mod apply;
mod check;
mod facts;
mod names;
mod plan;

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail, ensure};

use facts::Facts;
use plan::{Step, plan};

pub(crate) use facts::llvm;

/// Installs what is missing, these packages too, and says so where nothing is.
pub(crate) fn run(yes: bool, packages: Vec<String>) -> Result<ExitCode> {
    if !install(yes, packages)? {
        println!("Nothing is missing.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Installs what is missing, silently where nothing is.
pub(crate) fn ensure() -> Result<()> {
    ensure_with(Vec::new())
}

/// As [`ensure()`], with more packages that are missing.
pub(crate) fn ensure_with(packages: Vec<String>) -> Result<()> {
    install(false, packages).map(drop)
}

/// Whether something had to be installed.
fn install(yes: bool, extra: Vec<String>) -> Result<bool> {
    let mut facts = Facts {
        extra,
        ..Facts::observe()?
    };
    let mut steps = plan(&facts);
    if steps.is_empty() {
        return Ok(false);
    }
    check::check(&facts, &steps)?;
    println!("Missing on this machine; to be done:");
    for step in &steps {
        println!("  {step}");
    }
    ensure!(yes || consent()?, "set up: this machine: not agreed to");

    // What to do is planned anew after each step: only the installed compiler tells its LLVM.
    while let Some(step) = steps.first().cloned() {
        println!("{step}");
        apply::apply(&step)?;
        facts = Facts {
            refreshed: facts.refreshed || step == Step::Refresh,
            extra: facts
                .extra
                .into_iter()
                .filter(|name| !step.packages().contains(name))
                .collect(),
            ..Facts::observe()?
        };
        steps = plan(&facts);
        if steps.first() == Some(&step) {
            bail!("set up: {step}: that was done, and what it was for is still missing");
        }
    }
    Ok(true)
}

/// Asks, where there is somebody to ask.
fn consent() -> Result<bool> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Ok(true);
    }
    print!("Go on? [y/N] ");
    io::stdout().flush().context("ask: the terminal")?;
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("ask: the terminal")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
