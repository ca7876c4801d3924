//! Request bodies, read as Go's `encoding/json` reads them: names in any case, unknown ones skipped, the last of two alike counts.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

/// The content to publish: base64 text, an array of bytes, or nothing.
pub(super) fn of_provide(body: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let request: Option<ProvideRequest> = serde_json::from_slice(body)?;
    Ok(request.unwrap_or_default().content)
}

/// A retrieve needs no body. One that is there is an object or `null`, whatever it says.
pub(super) fn check_retrieve(body: &[u8]) -> Result<(), serde_json::Error> {
    if body.is_empty() {
        return Ok(());
    }
    serde_json::from_slice::<Option<AnyObject>>(body).map(drop)
}

#[derive(Default)]
struct ProvideRequest {
    content: Vec<u8>,
}

impl<'de> Deserialize<'de> for ProvideRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RequestVisitor;
        impl<'de> Visitor<'de> for RequestVisitor {
            type Value = ProvideRequest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with Content")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ProvideRequest, A::Error> {
                let mut request = ProvideRequest::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name.eq_ignore_ascii_case("content") {
                        // As Go, where null leaves what is there.
                        if let Some(Content(content)) = map.next_value::<Option<Content>>()? {
                            request.content = content;
                        }
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(request)
            }
        }
        deserializer.deserialize_map(RequestVisitor)
    }
}

struct Content(Vec<u8>);

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;
        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("Content as base64 (standard alphabet, padded) or as an array of numbers from 0 to 255")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
                let wrapped = text.contains(['\r', '\n']);
                // Go's decoder skips line ends.
                let decoded =
                    if wrapped { STANDARD.decode(text.replace(['\r', '\n'], "")) } else { STANDARD.decode(text) };
                decoded.map(Content).map_err(|error| E::custom(format_args!("Content is not base64: {error}")))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Content, A::Error> {
                let mut content = Vec::new();
                while let Some(number) = elements.next_element::<u64>()? {
                    let byte = u8::try_from(number).map_err(|_| {
                        A::Error::invalid_value(Unexpected::Unsigned(number), &"a number from 0 to 255")
                    })?;
                    content.push(byte);
                }
                Ok(Content(content))
            }
        }
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct AnyObject;

impl<'de> Deserialize<'de> for AnyObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = AnyObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyObject, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(AnyObject)
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(body: &str) -> Option<Vec<u8>> {
        of_provide(body.as_bytes()).ok()
    }

    #[test]
    fn every_form_that_go_reads_is_read() {
        for body in [
            r#"{"Content":"AQL/"}"#,
            r#"{"content":[1,2,255]}"#,
            r#"{"CONTENT":"AQ\nL/\r\n","Routing":"DHT","Target":{"deep":[1,{}]}}"#,
            r#"{"Content":"AAAA","content":[1,2,255],"CoNtEnT":null}"#,
        ] {
            assert_eq!(content(body), Some(vec![1, 2, 255]), "{body}");
        }
        for body in ["{}", "null", r#"{"Content":null}"#, r#"{"Content":""}"#, r#"{"Content":[]}"#, r#" {"x":1} "#] {
            assert_eq!(content(body), Some(Vec::new()), "{body}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for body in [
            "",
            "x",
            "[]",
            "\"AQL/\"",
            "1",
            "{",
            "{} {}",
            r#"{"Content":"AQL"}"#,
            r#"{"Content":"AQ=="x}"#,
            r#"{"Content":"_-__"}"#,
            r#"{"Content":[256]}"#,
            r#"{"Content":[-1]}"#,
            r#"{"Content":[1.0]}"#,
            r#"{"Content":{}}"#,
            r#"{"Content":1}"#,
            r#"{"Content":true}"#,
        ] {
            assert_eq!(content(body), None, "{body}");
        }
    }

    #[test]
    fn a_retrieve_takes_any_object_and_nothing() {
        for good in ["", "{}", "null", r#"{"Content":1,"x":[{}]}"#, " {} "] {
            assert!(check_retrieve(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["[]", "\"x\"", "1", "{", "{} x", "nul", " "] {
            assert!(check_retrieve(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
