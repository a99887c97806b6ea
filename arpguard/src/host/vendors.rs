//! Who has made a network card, by the lists of the IEEE that the machine's packages have.
//!
//! No list is in the binary: it would be of megabytes, and old soon.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
};

use arpguard_common::wire::Mac;

/// The lists that Linux distributions have: that of udev, the most common one, which also has the
/// small blocks, and those of `hwdata`, `ieee-data`, `arp-scan` and `nmap`.
const LISTS: &[&str] = &[
    "/usr/lib/udev/hwdb.d/20-OUI.hwdb",
    "/lib/udev/hwdb.d/20-OUI.hwdb",
    "/usr/share/hwdata/oui.txt",
    "/usr/share/ieee-data/oui.txt",
    "/usr/share/arp-scan/ieee-oui.txt",
    "/usr/share/nmap/nmap-mac-prefixes",
];
/// How many hexadecimal digits the IEEE assigns: MA-L, MA-M and MA-S, and their short forms.
const LENGTHS: [usize; 3] = [6, 7, 9];
/// The bit in the first byte of an address that nobody was assigned.
const LOCAL: u8 = 2;

/// The vendors of these hardware addresses, as far as the first list that there is knows them.
pub fn vendors(macs: impl Iterator<Item = Mac>) -> BTreeMap<Mac, String> {
    let mut wanted = BTreeMap::<String, Vec<Mac>>::new();
    for mac in macs.filter(|mac| mac.0[0] & LOCAL == 0) {
        let digits = mac.to_string().replace(':', "").to_uppercase();
        for length in LENGTHS {
            let prefix = digits.get(..length).unwrap_or_default().to_owned();
            wanted.entry(prefix).or_default().push(mac);
        }
    }
    if wanted.is_empty() {
        return BTreeMap::new();
    }
    match LISTS.iter().find_map(|path| File::open(path).ok()) {
        Some(list) => read(BufReader::new(list), &wanted),
        None => BTreeMap::new(),
    }
}

/// Reads a list line by line; a line that cannot be read ends it.
fn read(mut list: impl BufRead, wanted: &BTreeMap<String, Vec<Mac>>) -> BTreeMap<Mac, String> {
    let mut found = BTreeMap::<Mac, (usize, String)>::new();
    let (mut line, mut block) = (Vec::new(), String::new());
    while list.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line);
        if let Some((prefix, vendor)) = assignment(&text, &mut block) {
            for mac in wanted.get(&prefix).into_iter().flatten() {
                let length = prefix.len();
                if found.get(mac).is_none_or(|(known, _)| *known < length) {
                    found.insert(*mac, (length, vendor.to_owned()));
                }
            }
        }
        line.clear();
    }
    let name = |(mac, (_, vendor))| (mac, vendor);
    found.into_iter().map(name).collect()
}

/// What one line assigns: the first digits, in upper case, to a vendor. `block` keeps the digits
/// from one line of udev's list for the next.
fn assignment<'a>(line: &'a str, block: &mut String) -> Option<(String, &'a str)> {
    if let Some(digits) = line.strip_prefix("OUI:") {
        *block = digits.trim_end().trim_end_matches('*').to_uppercase();
        return None;
    }
    if let Some(vendor) = line.strip_prefix(" ID_OUI_FROM_DATABASE=") {
        return Some((block.clone(), vendor.trim()));
    }
    let end = line.find(|c: char| !c.is_ascii_hexdigit())?;
    let (digits, vendor) = line.split_at(end);
    let vendor = vendor.strip_prefix([' ', '\t'])?.trim();
    let vendor = vendor.strip_prefix("(base 16)").unwrap_or(vendor).trim();
    let known = LENGTHS.contains(&digits.len()) && !vendor.is_empty();
    known.then(|| (digits.to_uppercase(), vendor))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CISCO: Mac = Mac([0x00, 0x00, 0x0c, 7, 0xac, 1]);
    const SMALL: Mac = Mac([0x00, 0x1b, 0xc5, 0x00, 0x0a, 0xbc]);

    fn told(list: &str) -> Vec<(Mac, String)> {
        let mut wanted = BTreeMap::<String, Vec<Mac>>::new();
        for (mac, prefixes) in [
            (CISCO, ["00000C", "00000C0", "00000C07A"]),
            (SMALL, ["001BC5", "001BC50", "001BC5000"]),
        ] {
            for prefix in prefixes {
                wanted.entry(prefix.to_owned()).or_default().push(mac);
            }
        }
        read(list.as_bytes(), &wanted).into_iter().collect()
    }

    #[test]
    fn reads_the_lists_of_each_package() {
        let cisco = [(CISCO, "Cisco Systems, Inc".to_owned())];
        for list in [
            "# a comment\n\nOUI:00000C*\n ID_OUI_FROM_DATABASE=Cisco Systems, Inc\n",
            "00-00-0C   (hex)\t\tCisco\n00000C     (base 16)\t\tCisco Systems, Inc\r\n\t\t\tSAN JOSE\n",
            "# a comment\n00000c\tCisco Systems, Inc\n",
            "00000C Cisco Systems, Inc\n",
        ] {
            assert_eq!(told(list), cisco, "{list}");
        }
        assert_eq!(told("\u{fffd}\n00000C\n00000D Other\n"), []);
    }

    #[test]
    fn the_longest_assignment_holds_wherever_it_stands() {
        let short = "001BC5 IEEE Registration Authority\n";
        let long = "001BC5000 Converging Systems Inc.\n";
        for list in [format!("{short}{long}"), format!("{long}{short}")] {
            assert_eq!(told(&list), [(SMALL, "Converging Systems Inc.".to_owned())]);
        }
    }
}
