//! Devices that go as soon as they have come.

use super::{dice::Dice, ground::Ground, report::Report, watch::Watch};

/// Makes and removes devices until it is over, and leaves none.
pub(crate) fn churn(ground: &Ground, watch: &Watch, mut dice: Dice, report: &Report) {
    let _ends = watch.ends();
    let server = &ground.server;
    let mut number = 0;
    while !watch.is_over() {
        number += 1;
        let name = format!("b{number}");
        let kind = match dice.below(4) {
            0 => "type veth".to_owned(),
            1 => "type bridge".to_owned(),
            2 => "link eth0 type macvlan".to_owned(),
            _ => format!("type veth peer name p{number}"),
        };
        server.sh(&format!("ip link add name {name} {kind}"));
        if dice.once_in(2) {
            server.sh(&format!("ip link set {name} up"));
        }
        // It goes while the agent looks at it, guards it, or has done so.
        watch.sleep(dice.pause(90));
        server.sh(&format!("ip link del {name}"));
        report.brief.one();
        watch.sleep(dice.pause(60));
    }
}
