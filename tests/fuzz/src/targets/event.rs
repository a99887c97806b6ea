//! The event decoder, and what is shown of an event.

use arpguard::render::events;
use arpguard_common::abi::Event;

/// What stands in the ring.
pub fn event(data: &[u8]) {
    let Some(event) = Event::from_bytes(data) else {
        return;
    };
    assert_eq!(event.to_bytes().as_slice(), data);
    let json = events::json(&event, "eth0").unwrap();
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(object["device"], "eth0");
    assert_eq!(object["index"], event.device);
    assert_eq!(object["reason"], event.reason.name());
    for text in [json, events::line(&event, "eth0")] {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}
