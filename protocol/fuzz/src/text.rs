//! Names that come as text: topics, ids, digests, tokens. What is read is printed as it was.

use muster_protocol::cbor;
use muster_protocol::digest::Digest;
use muster_protocol::id::{DeviceId, ModelId, TargetClass, Version};
use muster_protocol::token::Token;
use muster_protocol::topic::{self, PREFIX};
use std::fmt::{Debug, Display};

/// Every reader of text gets all of it.
pub fn text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    topics(text);
    id(text, DeviceId::parse);
    id(text, ModelId::parse);
    id(text, Version::parse);
    id(text, TargetClass::parse);
    digest(text);
    token(text);
}

fn topics(text: &str) {
    for (prefix, text) in [(PREFIX, text), ("site/7", text)] {
        if let Some((device, up)) = topic::parse_up(prefix, text) {
            assert_eq!(topic::up(prefix, &device, up), text);
            assert!(topic::parse_down(prefix, text).is_none());
        }
        if let Some((device, down)) = topic::parse_down(prefix, text) {
            assert_eq!(topic::down(prefix, &device, down), text);
            let [mine, _] = topic::filters(prefix, &device);
            assert!(text.starts_with(mine.trim_end_matches('#')));
        }
    }
}

fn id<T, E>(text: &str, parse: fn(&str) -> Result<T, E>)
where
    T: PartialEq + Debug + Display + minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()>,
{
    let written = cbor::to_vec(&text);
    let received = cbor::decode::<T>(&written).ok();
    let Ok(id) = parse(text) else {
        assert_eq!(received, None, "CBOR takes what text does not");
        return;
    };
    assert_eq!(id.to_string(), text);
    assert_eq!(cbor::to_vec(&id), written);
    assert_eq!(received, Some(id));
    // None of them is a path that leads anywhere else.
    assert!(!text.contains(['/', '\\', '\0', '+', '#']) && !text.starts_with('.'));
}

fn digest(text: &str) {
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.to_string(), text);
        assert_eq!(Digest::parse_hex(&text[7..]), Ok(digest));
    }
}

fn token(text: &str) {
    if let Ok(token) = text.parse::<Token>() {
        let printed = token.to_string();
        assert_eq!(printed.parse(), Ok(token));
    }
}
