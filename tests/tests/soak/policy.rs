//! The policy's file, which is written again and again: whole, in pieces, and broken.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    net::Ipv4Addr,
    path::PathBuf,
    process,
    sync::Mutex,
    thread,
    time::Duration,
};

use super::{
    commands,
    dice::Dice,
    ground::{CORE, Ground, RIP},
    keeper::Keeper,
    report::Report,
    watch::{Watch, comes},
};

/// How many addresses a policy hides.
const ADDRESSES: usize = 1000;

pub(crate) struct Policy {
    directory: PathBuf,
    dice: Mutex<Dice>,
    /// What the file says: what was written last that is not broken.
    said: Mutex<BTreeSet<Ipv4Addr>>,
}

impl Policy {
    pub(crate) fn new(dice: Dice) -> Self {
        let directory = std::env::temp_dir().join(format!("arpguard-soak-{}", process::id()));
        fs::create_dir_all(directory.join("etc")).unwrap();
        let policy = Self {
            directory,
            dice: Mutex::new(dice),
            said: Mutex::default(),
        };
        policy.write_last();
        policy
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("etc/arpguard.toml")
    }

    /// Where the agents write their log: not beside the file, as they look at all that is there.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Writes one more policy, which stays.
    pub(crate) fn write_last(&self) {
        let mut dice = self.dice.lock().unwrap();
        let text = self.draw(&mut dice);
        self.rename(&text);
    }

    /// Whether what the file says is hidden, and nothing else but what commands hide beside it.
    pub(crate) fn is_in_force(&self, ground: &Ground) -> bool {
        let list = ground.server.guard("list");
        let hidden = list
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1)?.parse().ok());
        let hidden: BTreeSet<Ipv4Addr> = hidden.filter(|ip| !commands::are_theirs(*ip)).collect();
        hidden == *self.said.lock().unwrap()
    }

    /// Writes policies until it is over.
    pub(crate) fn churn(
        &self,
        ground: &Ground,
        keeper: &Keeper<'_>,
        watch: &Watch,
        report: &Report,
    ) {
        let _ends = watch.ends();
        while !watch.is_over() {
            let mut dice = self.dice.lock().unwrap();
            let broken = dice.once_in(5);
            if broken {
                self.break_it(&mut dice);
                report.broken.one();
                reload(&mut dice, keeper, report);
                watch.sleep(dice.pause(300));
            }
            let text = self.draw(&mut dice);
            if dice.once_in(3) {
                self.write_in_pieces(&text, &mut dice);
            } else {
                self.rename(&text);
            }
            report.files.one();
            reload(&mut dice, keeper, report);
            watch.sleep(dice.pause(500));
            let look = dice.once_in(4);
            drop(dice);
            let mut is_in_force = || watch.is_over() || self.is_in_force(ground);
            if look && !comes(&mut is_in_force) {
                report.fault("a policy that was written did not come into force".to_owned());
            }
        }
    }

    /// The core, and others.
    fn draw(&self, dice: &mut Dice) -> String {
        let mut said = BTreeSet::new();
        while said.len() < ADDRESSES - CORE.len() {
            let [.., c, d] = (dice.below(1 << 16) as u32).to_be_bytes();
            said.insert(Ipv4Addr::new(10, 64, c, d));
        }
        let rip = match dice.below(2) {
            0 => "auto".to_owned(),
            _ => RIP.to_string(),
        };
        let mut text = String::new();
        let mut block = |addresses: &[Ipv4Addr], rip: &str, shield: bool| {
            let quoted: Vec<_> = addresses
                .iter()
                .map(|ip| format!("{:?}", ip.to_string()))
                .collect();
            let list = quoted.join(",\n  ");
            write!(
                text,
                "[[hide]]\nip = [\n  {list},\n]\nrip = {rip:?}\nshield = {shield}\n\n"
            )
            .unwrap();
        };
        block(&CORE, &rip, dice.once_in(2));
        let others: Vec<_> = said.iter().copied().collect();
        for others in others.chunks(100 + dice.below(500) as usize) {
            block(others, "auto", dice.once_in(2));
        }
        said.extend(CORE);
        *self.said.lock().unwrap() = said;
        text
    }

    /// Puts a new file in place of the old one, as editors do.
    fn rename(&self, text: &str) {
        let new = self.directory.join("etc/arpguard.toml.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path()).unwrap();
    }

    /// Overwrites the file, as `cp` does from a slow disk.
    fn write_in_pieces(&self, text: &str, dice: &mut Dice) {
        let mut file = File::create(self.path()).unwrap();
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            thread::sleep(Duration::from_millis(dice.below(8)));
            let (piece, others) = rest.split_at(rest.len().min(1 + dice.below(16_000) as usize));
            file.write_all(piece).unwrap();
            rest = others;
        }
    }

    fn break_it(&self, dice: &mut Dice) {
        let core = CORE[0];
        let texts = [
            "[[hide]]\nip = \"192.168.18.1000\"\n".to_owned(),
            "[[hide]]\nip = [\"10.64.0.1\"\n".to_owned(),
            format!("[[hide]]\nip = \"{core}\"\n[[hide]]\nip = \"{core}\"\nrip = \"{RIP}\"\n"),
            "[[hide]]\nip = \"10.64.0.1\"\nrip = \"192.0.2.1\"\n".to_owned(),
            format!("[[hide]]\nip = \"{RIP}\"\n"),
            "devices = [\"nowhere0\"]\n[[hide]]\nip = \"10.64.0.1\"\n".to_owned(),
            "\u{0}\u{1}\u{2}".to_owned(),
        ];
        match texts.get(dice.below(texts.len() as u64 + 1) as usize) {
            Some(text) => self.rename(text),
            None => fs::remove_file(self.path()).unwrap(),
        }
    }
}

fn reload(dice: &mut Dice, keeper: &Keeper<'_>, report: &Report) {
    if dice.once_in(3) && keeper.reload() {
        report.reloads.one();
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
            println!("the agents' last warnings:");
            for line in lines.iter().rev().take(40).rev() {
                println!("{line}");
            }
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}
