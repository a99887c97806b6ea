//! `arpguard completions` and `arpguard man`: from the definitions that parse the command line.

use std::io;

use clap::CommandFactory as _;

use super::{Arguments, args, print};
use crate::error::{Error, Result};

const NAME: &str = "arpguard";

pub(super) fn completions(what: &args::Completions) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(what.shell, &mut Arguments::command(), NAME, &mut text);
    print(|out| out.write_all(&text))
}

pub(super) fn man(what: &args::Man) -> Result<()> {
    let command = Arguments::command();
    match &what.directory {
        Some(directory) => clap_mangen::generate_to(command, directory)
            .map_err(|cause| Error::from_cause("write the man pages", directory.display(), &cause)),
        None => print(|out| {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).render(&mut page)?;
            io::Write::write_all(out, &page)
        }),
    }
}
