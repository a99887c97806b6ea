//! Commands that mend.

/// A command, without where it is to be run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cure {
    /// arpguard with these arguments.
    Arpguard(String),
    /// One after another.
    All(Vec<Self>),
    /// The policy as `save` prints it, edited by this command where there is one, and applied again.
    Saved(Option<String>),
    /// Commands of the system, one after another.
    Host(Vec<String>),
}

/// Where commands are to be run, in the words of the command line that has asked.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The network namespace, where another one was named.
    pub netns: Option<String>,
    /// The BPF file system, where one was named.
    pub bpffs: Option<String>,
    /// The socket of the agent, where one was named.
    pub socket: Option<String>,
}

impl Cure {
    /// arpguard with these arguments.
    pub(super) fn arpguard(arguments: impl Into<String>) -> Self {
        Self::Arpguard(arguments.into())
    }

    /// One command of the system.
    pub(super) fn host(line: impl Into<String>) -> Self {
        Self::Host(vec![line.into()])
    }

    /// `sysctl` with these settings.
    pub(super) fn sysctl<'a>(settings: impl Iterator<Item = (&'a str, &'a str, u32)>) -> Self {
        let words = settings.map(|(device, name, value)| {
            format!(" {}", word(&format!("{}={value}", key(device, name))))
        });
        Self::host(format!("sysctl -w{}", words.collect::<String>()))
    }

    /// A line for a shell.
    pub fn line(&self, place: &Place) -> String {
        match self {
            Self::Arpguard(arguments) => format!("{} {arguments}", place.arpguard()),
            Self::All(cures) => {
                let lines: Vec<_> = cures.iter().map(|cure| cure.line(place)).collect();
                lines.join(" && ")
            }
            Self::Saved(edit) => {
                let arpguard = place.arpguard();
                let edit = edit.iter().map(|edit| format!(" | {edit}"));
                let edit: String = edit.collect();
                format!("{arpguard} save{edit} | {arpguard} apply /dev/stdin")
            }
            Self::Host(commands) => {
                let enter = place.enter();
                let commands = commands.iter().map(|command| format!("{enter}{command}"));
                commands.collect::<Vec<_>>().join(" && ")
            }
        }
    }
}

impl Place {
    fn arpguard(&self) -> String {
        let options = [
            ("--netns", &self.netns),
            ("--bpffs", &self.bpffs),
            ("--socket", &self.socket),
        ];
        let mut line = "arpguard".to_owned();
        for (option, value) in options {
            if let Some(value) = value {
                line += &format!(" {option} {}", word(value));
            }
        }
        line
    }

    fn enter(&self) -> String {
        match &self.netns {
            None => String::new(),
            Some(path) if path.contains('/') => {
                format!("nsenter {} ", word(&format!("--net={path}")))
            }
            Some(name) => format!("nsenter {} ", word(&format!("--net=/run/netns/{name}"))),
        }
    }
}

/// A setting of a device, as `sysctl` has it: with slashes where the device's name has dots.
pub(super) fn key(device: &str, name: &str) -> String {
    match device.contains('.') {
        true => format!("net/ipv4/conf/{device}/{name}"),
        false => format!("net.ipv4.conf.{device}.{name}"),
    }
}

/// One word for a shell, quoted where it has to be: a device's name may have any byte but a slash,
/// a colon and white space.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/=:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_run_where_the_question_was_asked() {
        let place = Place {
            netns: Some("blue".to_owned()),
            ..Place::default()
        };
        assert_eq!(
            Cure::Saved(None).line(&place),
            "arpguard --netns blue save | arpguard --netns blue apply /dev/stdin"
        );
        let sysctl =
            Cure::sysctl([("eth0.10", "arp_ignore", 1), ("a;b", "rp_filter", 2)].into_iter());
        assert_eq!(
            sysctl.line(&place),
            "nsenter --net=/run/netns/blue sysctl -w net/ipv4/conf/eth0.10/arp_ignore=1 \
             'net.ipv4.conf.a;b.rp_filter=2'"
        );
        assert_eq!(word("it's"), r"'it'\''s'");
    }
}
