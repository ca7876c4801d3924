//! Messages as they lie in the queues: what a service of RMB is sent, and what it sends back.
//!
//! Names and order of members are those of rmb-peer and of the Go router that zos has; readers go by them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The queue from which rmb-peer takes answers.
const PEER_REPLIES: &str = "msgbus.system.reply";

/// The only schema that either side takes.
const SCHEMA: &str = "application/json";

/// Code of every error that a handler has.
const HANDLER_ERROR: u32 = 255;

/// Seconds that a request lives at most, as rmb-peer has it; and one that does not say.
const EXPIRY_MAX: u64 = 1_800;

/// Longest key for an answer. Clients of RMB take a UUID.
const RETURN_MAX: usize = 128;

/// Bytes of a payload that an error message repeats.
const REPEATED_MAX: usize = 1_024;

/// A command that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Get,
    GetAll,
    History,
    Run,
    Schedule,
    Status,
}

impl Command {
    pub(super) const ALL: [Self; 6] = [Self::Get, Self::GetAll, Self::History, Self::Run, Self::Schedule, Self::Status];

    /// The queue that rmb-peer puts it into.
    pub(super) fn queue(self) -> &'static str {
        match self {
            Self::Get => "msgbus.zos.perf.get",
            Self::GetAll => "msgbus.zos.perf.get_all",
            Self::History => "msgbus.zos.perf.history",
            Self::Run => "msgbus.zos.perf.run",
            Self::Schedule => "msgbus.zos.perf.schedule",
            Self::Status => "msgbus.zos.perf.status",
        }
    }

    /// By its name in a message: `zos.perf.get`. No key is ever made of a name that came with a message.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|command| command.queue().strip_prefix("msgbus.") == Some(name))
    }
}

/// Why a message gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    /// It is no request.
    Malformed,
    /// Nobody waits any more.
    Expired,
    /// Its schema is another one. zos is as silent.
    ForeignSchema,
    /// The answer would go to a key that is not the caller's.
    RefusedReturn,
}

#[derive(Deserialize)]
struct Incoming {
    ver: u32,
    #[serde(rename = "ref")]
    reference: Option<String>,
    src: Option<String>,
    cmd: String,
    exp: Option<u64>,
    dat: Option<String>,
    ret: String,
    shm: Option<String>,
    now: Option<u64>,
}

/// A request that somebody waits for.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) command: String,
    data: String,
    pub(super) caller: Caller,
}

/// Where an answer goes.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    reference: Option<String>,
    source: String,
    /// The key of the list.
    pub(super) key: String,
    /// When nobody waits any more, Unix seconds.
    pub(super) until_s: u64,
}

impl Request {
    /// Reads an element of a queue. `now_s`: Unix seconds.
    pub(super) fn parse(bytes: &[u8], now_s: u64) -> Result<Self, Dropped> {
        let message: Incoming = serde_json::from_slice(bytes).map_err(|_| Dropped::Malformed)?;
        if message.ver != 1 {
            return Err(Dropped::Malformed);
        }
        if message.shm.as_deref() != Some(SCHEMA) {
            return Err(Dropped::ForeignSchema);
        }
        if !is_callers(&message.ret) {
            return Err(Dropped::RefusedReturn);
        }
        // A clock that is ahead of ours shortens nobody's patience.
        let sent_s = message.now.filter(|sent_s| *sent_s != 0).map_or(now_s, |sent_s| sent_s.min(now_s));
        let until_s = sent_s.saturating_add(message.exp.unwrap_or(EXPIRY_MAX).min(EXPIRY_MAX));
        if until_s <= now_s {
            return Err(Dropped::Expired);
        }
        let source = message.src.unwrap_or_default();
        let caller = Caller { reference: message.reference, source, key: message.ret, until_s };
        Ok(Self { command: message.cmd, data: message.dat.unwrap_or_default(), caller })
    }

    /// The name and the numbers that came along.
    pub(super) fn arguments(&self) -> Result<Arguments, String> {
        let payload = STANDARD.decode(&self.data).map_err(|error| unreadable(&[], &error.to_string()))?;
        let value: Value = serde_json::from_slice(&payload).map_err(|error| {
            // The words of the decoder that zos has, where clients may look for them.
            let text = if error.is_eof() { "unexpected end of JSON input".to_owned() } else { error.to_string() };
            unreadable(&payload, &text)
        })?;
        Arguments::of(value).map_err(|text| unreadable(&payload, &text))
    }
}

/// Whether a caller may have an answer under this key: rmb-peer's queue, or one of its own. Never a queue of a service, which would
/// take the answer for a request, and never a key of the view.
fn is_callers(key: &str) -> bool {
    let begins = |prefix: &str| key.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let own = (1..=RETURN_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    key == PEER_REPLIES || (own && !begins("msgbus.") && !begins("perf."))
}

fn unreadable(payload: &[u8], text: &str) -> String {
    let bytes: Vec<String> = payload.iter().take(REPEATED_MAX).map(ToString::to_string).collect();
    let more = if payload.len() > REPEATED_MAX { " ..." } else { "" };
    format!("failed to unmarshal payload [{}{more}]: {text}", bytes.join(" "))
}

/// What a request asks about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    pub(super) name: String,
    pub(super) since_ms: Option<u64>,
    pub(super) limit: Option<u32>,
}

impl Arguments {
    /// Go's decoder takes members in any case, skips what it does not know and leaves what is null; a bare string is a name too.
    fn of(value: Value) -> Result<Self, String> {
        let members = match value {
            Value::Null => return Ok(Self::default()),
            Value::String(name) => return Ok(Self { name, ..Self::default() }),
            Value::Object(members) => members,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => return Err("an object is expected".into()),
        };
        let mut arguments = Self::default();
        for (member, value) in members.into_iter().filter(|(_, value)| !value.is_null()) {
            match member.to_ascii_lowercase().as_str() {
                "name" => arguments.name = text(value)?,
                "since_ms" => arguments.since_ms = Some(number(&value, "since_ms")?),
                "limit" => arguments.limit = Some(number(&value, "limit")?.try_into().unwrap_or(u32::MAX)),
                _ => {}
            }
        }
        Ok(arguments)
    }
}

fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err("name is not a string".into()),
    }
}

fn number(value: &Value, member: &str) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| format!("{member} is not a whole number from 0"))
}

#[derive(Serialize)]
struct Outgoing<'a> {
    ver: u32,
    #[serde(rename = "ref")]
    reference: Option<&'a str>,
    dat: String,
    dst: &'a str,
    shm: &'static str,
    now: u64,
    err: Option<Fault<'a>>,
}

#[derive(Serialize)]
struct Fault<'a> {
    code: u32,
    message: &'a str,
}

impl Caller {
    /// The message that answers: with JSON, or with the words of an error.
    pub(super) fn answer(&self, result: Result<&[u8], &str>, now_s: u64) -> Vec<u8> {
        let (dat, err) = match result {
            Ok(json) => (STANDARD.encode(json), None),
            Err(message) => (String::new(), Some(Fault { code: HANDLER_ERROR, message })),
        };
        let reference = self.reference.as_deref();
        let message = Outgoing { ver: 1, reference, dat, dst: &self.source, shm: SCHEMA, now: now_s, err };
        serde_json::to_vec(&message).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
