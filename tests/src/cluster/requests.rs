//! Requests for the VIPs in every form.

use arpguard_common::wire::Mac;

use super::Cluster;
use crate::arp::{self, AD, Frame, Q};

/// How many are sent before an answer is waited for: fewer than a veth device has room for.
const BATCH: usize = 64;

const TAGS: &[&[(u16, u16)]] = &[
    &[],
    &[(Q, 0)],
    &[(AD, 0)],
    &[(AD, 0xe000), (Q, 0)],
    &[(Q, 0), (Q, 0), (Q, 0)],
];

impl Cluster {
    /// Every form in which somebody may ask for a VIP, for the VIPs of all services.
    pub fn requests(&self) -> Vec<Frame> {
        let asker = &self.asker;
        let mut requests = Vec::new();
        for service in &self.services {
            let servers = service
                .servers
                .iter()
                .map(|server| self.stations[*server].mac);
            for destination in [Mac::BROADCAST].into_iter().chain(servers) {
                for spa in [asker.ip, arp::NOBODY] {
                    for htype in [arp::ETHERNET, arp::IEEE_802] {
                        for tags in TAGS {
                            let asked = arp::request(asker.mac, spa, service.vip);
                            let asked = asked.to(destination).tagged(tags);
                            requests.push(Frame { htype, ..asked });
                        }
                    }
                }
            }
        }
        requests
    }

    /// Sends `count` requests, all forms in turn. After each batch every station is asked for its
    /// own address and has to answer, so that what it says to the batch has come too; then
    /// `between` gets all ARP that was heard.
    pub fn ask(&self, count: usize, mut between: impl FnMut(&[Frame])) {
        let forms = self.requests();
        let mut requests = forms.iter().cycle().take(count).peekable();
        while requests.peek().is_some() {
            for request in requests.by_ref().take(BATCH) {
                self.ears.send(&request.bytes());
            }
            between(&self.hear());
        }
    }

    /// Asks every station for its own address, waits for all of the answers, and gives all ARP
    /// that was heard.
    pub fn hear(&self) -> Vec<Frame> {
        let asker = &self.asker;
        let mut heard = Vec::new();
        for station in &self.stations {
            let asked = arp::request(asker.mac, asker.ip, station.ip).to(station.mac);
            self.ears.send(&asked.bytes());
            let answer = arp::reply(station.mac, station.ip, asker.mac, asker.ip).bytes();
            heard.extend(self.ears.until(|frame| frame == answer));
        }
        heard
            .iter()
            .filter_map(|frame| Frame::read(frame))
            .collect()
    }
}
