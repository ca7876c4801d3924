//! Comma-separated values, RFC 4180 without line breaks in fields.

use super::ProbeOutcome;
use super::row::Row;

/// The columns that a row has.
const NAMES: [&str; 13] = [
    "at_ms",
    "hoster",
    "attester",
    "operator",
    "address",
    "contract",
    "region",
    "class",
    "outcome",
    "latency_us",
    "throughput_bps",
    "ingress_bps",
    "bytes",
];
/// Those that every row needs.
const REQUIRED: [&str; 5] = ["at_ms", "hoster", "attester", "region", "outcome"];

/// Which column is where.
#[derive(Debug)]
pub(super) struct Columns {
    names: Vec<&'static str>,
}

impl Columns {
    pub(super) fn of_header(line: &str) -> Result<Self, String> {
        let mut names = Vec::new();
        for field in split(line)? {
            let known = NAMES.into_iter().find(|name| *name == field.trim());
            let name = known.ok_or_else(|| format!("unknown column {field:?} (known: {})", NAMES.join(", ")))?;
            if names.contains(&name) {
                return Err(format!("column {name} is there twice"));
            }
            names.push(name);
        }
        match REQUIRED.into_iter().find(|name| !names.contains(name)) {
            Some(missing) => Err(format!("column {missing} is missing")),
            None => Ok(Self { names }),
        }
    }

    pub(super) fn row(&self, line: &str) -> Result<Row, String> {
        let fields = split(line)?;
        if fields.len() != self.names.len() {
            return Err(format!("{} fields, the header has {}", fields.len(), self.names.len()));
        }
        let get = |name: &str| -> Option<String> {
            let at = self.names.iter().position(|known| *known == name)?;
            fields.get(at).filter(|field| !field.is_empty()).cloned()
        };
        let needed = |name: &str| get(name).ok_or_else(|| format!("{name}: missing"));
        let number = |name: &str| get(name).map(|text| whole(name, &text)).transpose();
        let outcome = needed("outcome")?;
        let class = get("class")
            .map(|text| serde_json::from_value(text.clone().into()).map_err(|_| format!("class: {text:?} is unknown")));
        Ok(Row {
            at_ms: whole("at_ms", &needed("at_ms")?)?,
            hoster: needed("hoster")?,
            attester: needed("attester")?,
            operator: get("operator"),
            address: get("address"),
            contract: get("contract"),
            region: needed("region")?,
            class: class.transpose()?,
            outcome: ProbeOutcome::of_name(&outcome).ok_or_else(|| format!("outcome: {outcome:?} is unknown"))?,
            latency_us: number("latency_us")?,
            throughput_bps: number("throughput_bps")?,
            ingress_bps: number("ingress_bps")?,
            bytes: number("bytes")?,
        })
    }
}

/// Digits only, so that both formats take the same numbers.
fn whole(name: &str, text: &str) -> Result<u64, String> {
    let is_whole = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_whole.then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| format!("{name}: {text:?} is not a whole number"))
}

fn split(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let field = &rest[..end];
                if field.contains('"') {
                    return Err("a quote within a field that is not quoted".to_owned());
                }
                (field.to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err("text after a closing quote".to_owned()),
        }
    }
}

/// A quoted field, from behind its opening quote, and what follows its closing one. Two quotes are one.
fn unquote(mut rest: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    loop {
        let end = rest.find('"').ok_or("a quote that is not closed")?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, rest)),
        }
    }
}
