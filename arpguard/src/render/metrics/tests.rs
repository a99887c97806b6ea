use super::*;

fn device(name: &str, ingress: Option<Ingress>) -> Device {
    Device {
        name: name.into(),
        ingress,
        egress: Some(Egress::Clsact),
        frames: [0; _],
        untold: [Left::default(); ROWS],
    }
}

fn lines(metrics: &Metrics, start: &str) -> Vec<String> {
    let text = metrics.to_string();
    let lines = text.lines().filter(|line| line.starts_with(start));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_device_may_have_any_name() {
    let metrics = Metrics {
        devices: vec![device("a\"b\\c\nd", None)],
        ..Metrics::default()
    };
    let shown = r#"arpguard_device_info{device="a\"b\\c\nd",ingress="none",egress="clsact"} 1"#;
    assert_eq!(lines(&metrics, "arpguard_device_info"), [shown]);
}

#[test]
fn each_counter_has_a_series_and_what_cannot_be_has_none_until_it_is() {
    let mut one = device("eth0", Some(Ingress::Native));
    let mut metrics = Metrics {
        devices: vec![one.clone()],
        ..Metrics::default()
    };
    let empty = lines(&metrics, "arpguard_frames_total{");
    // What hide, pin, strict, answer and bind may decide, in both modes, and what nobody does.
    assert_eq!(empty.len(), 2 * (10 + 9 + 7 + 4 + 1) + 2);
    assert!(empty.iter().all(|line| line.ends_with("} 0")), "{empty:?}");

    for (number, frames) in one.frames.iter_mut().zip(1..) {
        *number = frames;
    }
    metrics.devices = vec![one];
    let full = lines(&metrics, "arpguard_frames_total{");
    assert_eq!(full.len(), ROWS * Reason::COUNT);
    let audited = counter(Some((Policy::Hide, Mode::Audit)), Reason::NoRip) + 1;
    let shown = format!(
        "arpguard_frames_total{{device=\"eth0\",policy=\"hide\",mode=\"audit\",\
         reason=\"no_rip\",outcome=\"dropped\"}} {audited}"
    );
    assert!(full.contains(&shown), "{full:?}");
}

#[test]
fn what_nobody_was_told_is_shown_by_who_decided() {
    let mut one = device("eth0", None);
    one.untold[row(Some((Policy::Hide, Mode::Enforce)))] = Left {
        suppressed: 3,
        lost: u64::MAX,
    };
    let metrics = Metrics {
        devices: vec![one],
        ..Metrics::default()
    };
    let of = "{device=\"eth0\",policy=\"hide\",mode=\"enforce\"}";
    assert_eq!(
        lines(&metrics, "arpguard_events_suppressed_total{")[0],
        format!("arpguard_events_suppressed_total{of} 3")
    );
    assert_eq!(
        lines(&metrics, "arpguard_events_lost_total{")[0],
        format!("arpguard_events_lost_total{of} 18446744073709551615")
    );
}
