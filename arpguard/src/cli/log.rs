//! Where the agent logs to: standard error, which is a terminal, a file, or the journal.

use std::{
    env, fmt,
    io::{IsTerminal as _, stderr},
};

use nix::sys::stat::fstat;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// From now on, what is logged is written.
pub(super) fn begin() {
    // To complain of what cannot be written, it would write that.
    let log = tracing_subscriber::fmt()
        .with_writer(stderr)
        .log_internal_errors(false);
    if is_journal() {
        log.event_format(Journal).init();
    } else {
        let colours = stderr().is_terminal();
        log.with_target(false).with_ansi(colours).init();
    }
}

/// Whether standard error is the stream that the service manager has connected to the journal, and
/// has not been redirected since.
fn is_journal() -> bool {
    let stream = env::var("JOURNAL_STREAM").unwrap_or_default();
    fstat(stderr()).is_ok_and(|found| stream == format!("{}:{}", found.st_dev, found.st_ino))
}

/// Lines as the journal takes them, which has a clock of its own: their priority first, as
/// `sd-daemon(3)` has it.
struct Journal;

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}
