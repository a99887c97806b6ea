//! `arpguard doctor`

use std::process::ExitCode;

use super::{Context, FOUND, args, check_privileges, print};
use crate::{
    datapath::{Pins, Store},
    doctor::{Severity, Source, hooks, judge, observe},
    error::Result,
    render::{
        Format, Page,
        doctor::{Diagnosis, paragraphs},
        json,
    },
};

pub(super) async fn run(context: &Context, arguments: args::Doctor) -> Result<ExitCode> {
    let source = source(context).await.unwrap_or_else(Source::Unseen);
    let facts = observe(&context.netlink, source, arguments.dev).await?;
    let findings = judge(&facts);
    let serious = |severity| severity == Severity::Serious;
    let status = match findings.iter().any(|finding| serious(finding.severity)) {
        true => ExitCode::from(FOUND),
        false => ExitCode::SUCCESS,
    };
    let devices = hooks(&facts);
    let diagnosis = Diagnosis::new(findings, facts.unseen, devices, &context.place);
    let Page { format, width } = Page::standard(context.format);
    print(|out| match format {
        Format::Table => paragraphs(out, &diagnosis, width),
        Format::Json => json::document(out, &diagnosis),
    })?;
    Ok(status)
}

/// Where the state is. Nothing is mounted to find out.
async fn source(context: &Context) -> Result<Source> {
    if let (Some(one), Some(other)) = (context.agent().await?, context.agent().await?) {
        return Ok(Source::Agent(one, other));
    }
    check_privileges()?;
    let pins = Pins::find(context.bpffs.as_deref(), &context.identity)?;
    Ok(pins.map_or(Source::Nowhere, |pins| Source::Pinned(Store::Pinned(pins))))
}
