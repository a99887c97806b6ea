//! Wrong usage, in one line.

use std::{
    error::Error as _,
    io::{Write as _, stderr},
    process::ExitCode,
};

use clap::{
    CommandFactory as _, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Arguments, USAGE};

/// Prints what clap found, and gives the exit status: help and version are not errors.
pub(super) fn exit(error: &Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that has gone away has read enough.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(USAGE)
        }
        _ => {
            let _ = writeln!(stderr(), "arpguard: {}", line(error));
            ExitCode::from(USAGE)
        }
    }
}

fn line(error: &Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let command = text(ContextKind::InvalidSubcommand);
    let (subject, why) = match error.kind() {
        ErrorKind::ValueValidation => {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            (with_value(&argument, &value), why)
        }
        ErrorKind::InvalidValue if value.is_empty() => (argument, "it needs a value".to_owned()),
        ErrorKind::InvalidValue => {
            let valid = text(ContextKind::ValidValue).unwrap_or_default();
            (with_value(&argument, &value), format!("it can be {valid}"))
        }
        ErrorKind::MissingRequiredArgument => (plain(&argument), "it is required".to_owned()),
        ErrorKind::UnknownArgument if !argument.starts_with('-') => {
            (argument, "it is one word too many".to_owned())
        }
        ErrorKind::UnknownArgument => (argument, "there is no such option".to_owned()),
        ErrorKind::ArgumentConflict => {
            let other = text(ContextKind::PriorArg).unwrap_or_default();
            let why = if other == argument || other.is_empty() {
                "it may be given only once".to_owned()
            } else {
                format!("it does not go with {}", option(&other))
            };
            (plain(option(&argument)), why)
        }
        ErrorKind::InvalidSubcommand => (
            command.unwrap_or_default(),
            "there is no such command".to_owned(),
        ),
        _ => ("the command line".to_owned(), first_line(error)),
    };
    let suggestion = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand]
        .into_iter()
        .find_map(text)
        // Of several, the last is the most alike.
        .and_then(|others| others.rsplit(", ").next().map(str::to_owned))
        .map(|other| format!("; did you mean {other}?"));
    let help = format!("; see `{} --help`", invoked());
    format!(
        "read the arguments: {subject}: {why}{}",
        suggestion.unwrap_or(help)
    )
}

/// An option with its value, or the value alone where it has no option.
fn with_value(argument: &str, value: &str) -> String {
    match option(argument) {
        option if option.starts_with('-') => format!("{option} {value}"),
        _ => value.to_owned(),
    }
}

/// An option without what its value is called.
fn option(argument: &str) -> &str {
    argument.split(' ').next().unwrap_or(argument)
}

/// What an argument is called: `VIP` for `<VIP>...`, and for `[VIP]...`, where it may be left out.
fn plain(argument: &str) -> String {
    argument
        .replace(['<', '>', '[', ']'], "")
        .replace("...", "")
}

fn first_line(error: &Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The command with its verb, as far as it was recognised.
fn invoked() -> String {
    let command = Arguments::command();
    let verb = std::env::args().skip(1).find(|word| {
        command
            .get_subcommands()
            .any(|known| known.get_name() == word)
    });
    match verb {
        Some(verb) => format!("arpguard {verb}"),
        None => "arpguard".to_owned(),
    }
}
