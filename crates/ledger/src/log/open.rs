//! Opening a log: what the last group left half done is cut off, damage is an error.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, RwLock};

use peermark_core::sealed::Digest32;

use super::checkpoint::{Checkpoint, MAX_CHECKPOINT_BYTES};
use super::engine::create;
use super::error::{Damage, LogError, hex};
use super::files::{DRAFT, File, Files, replace};
use super::nodes::Nodes;
use super::reader::{Segment, Shared};
use super::scan::{self, Scan, Step};
use super::segment::{Header, first_of, name_of};
use super::tree::{Frontier, chain_next, empty_root, leaf_hash};
use super::{CHECKPOINT, Identity, LOCK, Log, LogOptions};

/// Hashes that are gathered before they are written.
const KEPT: usize = 4_096;

/// What a walk over records leads to.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) frontier: Frontier,
    pub(super) chain: Digest32,
}

impl Log {
    /// Opens the log for writing, or makes a new one where there is none.
    ///
    /// The last segment is read whole; of the others their headers and, through the tree's hashes, the checkpoint. [`super::verify`]
    /// reads all.
    ///
    /// # Errors
    /// [`LogError::Locked`] where another process writes it; [`LogError::Damaged`] where something that was synced is not there or is
    /// another; [`LogError::Checkpoint`] where the checkpoint is none of this log's; [`LogError::Io`], [`LogError::NoSpace`] and
    /// [`LogError::Fatal`] for what the system says.
    pub fn open(options: LogOptions) -> Result<Self, LogError> {
        let identity = options.identity()?;
        let files = Arc::clone(&options.files);
        let lock = files.lock(LOCK).map_err(|source| match source.kind() {
            std::io::ErrorKind::WouldBlock => LogError::Locked { file: LOCK.to_owned() },
            _ => LogError::io("lock", LOCK)(source),
        })?;
        for draft in list(&*files)?.iter().filter(|name| name.ends_with(DRAFT)) {
            files.remove(draft).map_err(LogError::io("remove", draft))?;
        }
        if firsts(&*files)?.is_empty() {
            begin(&options, &identity)?;
        }
        let (checkpoint, note) = load_checkpoint(&*files, &identity)?;
        let mut segments = open_segments(&*files, &identity)?;
        let Some((file, header)) = segments.pop() else { return Err(missing(0)) };
        let nodes = open_nodes(&*files, &identity, &segments, &header, &checkpoint)?;
        let mut opened: Vec<_> =
            segments.into_iter().map(|(file, header)| Arc::new(Segment::new(file, &header))).collect();
        let segment = Arc::new(Segment::new(file, &header));
        let (walked, end, reserved) = recover(&segment, &header, &nodes, &checkpoint)?;
        opened.push(Arc::clone(&segment));
        let shared = Shared {
            files,
            identity,
            nodes,
            segments: RwLock::new(opened),
            size: AtomicU64::new(walked.frontier.size()),
            tree: RwLock::new(walked.frontier.clone()),
            checkpoint: RwLock::new((checkpoint, note)),
            writing_checkpoint: Mutex::default(),
            writing_snapshot: Mutex::default(),
            stopped: AtomicBool::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
            options,
            frontier: walked.frontier,
            chain: walked.chain,
            segment,
            end,
            reserved,
            bytes: Vec::new(),
            kept: Vec::new(),
            _lock: lock,
        })
    }
}

/// The state of the walk before a segment.
pub(super) fn walked_to(header: &Header, frontier: Frontier) -> Walked {
    Walked { frontier, chain: header.chain }
}

impl Walked {
    pub(super) fn new(identity: &Identity) -> Self {
        Self { frontier: Frontier::default(), chain: identity.genesis }
    }

    /// The header of a segment that begins here.
    pub(super) fn header(&self, identity: &Identity) -> Header {
        let root = self.frontier.root();
        Header { genesis: identity.genesis, first: self.frontier.size(), chain: self.chain, root }
    }

    pub(super) fn push(&mut self, record: &[u8], kept: &mut Vec<Digest32>) {
        let leaf = leaf_hash(record);
        self.frontier.push(leaf, kept);
        self.chain = chain_next(&self.chain, &leaf);
    }
}

/// A new log: first the checkpoint of nothing, then the segment, so that a segment without a checkpoint has lost it.
fn begin(options: &LogOptions, identity: &Identity) -> Result<(), LogError> {
    match load_checkpoint(&*options.files, identity) {
        Ok((checkpoint, _)) if checkpoint.size > 0 => return Err(missing(0)),
        Ok(_) => {}
        Err(LogError::Damaged(damage)) if damage.found == NO_FILE => {
            let checkpoint = Checkpoint { origin: options.origin.clone(), size: 0, root: empty_root() };
            replace(&*options.files, CHECKPOINT, checkpoint.sign(&options.key).as_bytes())?;
        }
        Err(error) => return Err(error),
    }
    create(options, &Walked::new(identity).header(identity)).map(drop)
}

const NO_FILE: &str = "no file";

fn missing(first: u64) -> LogError {
    Damage::new(&name_of(first), 0, "a segment", NO_FILE).into()
}

pub(super) fn list(files: &dyn Files) -> Result<Vec<String>, LogError> {
    files.list().map_err(LogError::io("list", "the log's directory"))
}

/// The first records of all segments, in their order.
pub(super) fn firsts(files: &dyn Files) -> Result<Vec<u64>, LogError> {
    Ok(list(files)?.iter().filter_map(|name| first_of(name)).collect())
}

/// Reads the checkpoint and checks its signature.
pub(super) fn load_checkpoint(files: &dyn Files, identity: &Identity) -> Result<(Checkpoint, String), LogError> {
    let file = match files.open(CHECKPOINT) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Damage::new(CHECKPOINT, 0, "a signed checkpoint", NO_FILE).into());
        }
        opened => opened.map_err(LogError::io("open", CHECKPOINT))?,
    };
    let mut note = vec![0; MAX_CHECKPOINT_BYTES + 1];
    let length = file.read_at(&mut note, 0).map_err(LogError::io("read", CHECKPOINT))?;
    note.truncate(length);
    let checkpoint = identity.signer.open(&note)?;
    // It was text, or it would not have been opened.
    Ok((checkpoint, String::from_utf8_lossy(&note).into_owned()))
}

type Opened = (Box<dyn File>, Header);

/// All segments with their headers, which name this log and themselves.
fn open_segments(files: &dyn Files, identity: &Identity) -> Result<Vec<Opened>, LogError> {
    let mut segments: Vec<Opened> = Vec::new();
    for first in firsts(files)? {
        let (file, header) = scan::open(files, first)?;
        let expected = if segments.is_empty() {
            Walked::new(identity).header(identity)
        } else {
            Header { genesis: identity.genesis, first, ..header.clone() }
        };
        if segments.is_empty() && first != 0 {
            return Err(missing(0));
        }
        header.expect(&name_of(first), &expected)?;
        segments.push((file, header));
    }
    Ok(segments)
}

/// The tree's hashes up to the last segment, made anew where they do not lead to its root and to the checkpoint's.
fn open_nodes(
    files: &dyn Files,
    identity: &Identity,
    before: &[Opened],
    last: &Header,
    checkpoint: &Checkpoint,
) -> Result<Nodes, LogError> {
    // The root of a checkpoint over records of the last segment is compared when these are read.
    let signed = |nodes: &Nodes| -> Result<Digest32, LogError> {
        if checkpoint.size > last.first { Ok(checkpoint.root) } else { Ok(nodes.frontier(checkpoint.size)?.root()) }
    };
    if let Some(nodes) = Nodes::open(files, &identity.genesis)?
        && nodes.frontier(last.first)?.root() == last.root
        && signed(&nodes)? == checkpoint.root
    {
        return Ok(nodes);
    }
    let nodes = Nodes::draft(files, &identity.genesis)?;
    let mut walked = Walked::new(identity);
    for (number, (file, header)) in before.iter().enumerate() {
        let name = name_of(header.first);
        header.expect(&name, &walked.header(identity))?;
        let mut scan = Scan::new(header);
        let next = before.get(number + 1).map_or(last, |(_, next)| next);
        walk(&**file, &mut scan, &mut walked, Some(next.first), &nodes)?;
    }
    last.expect(&name_of(last.first), &walked.header(identity))?;
    nodes.replace(files)?;
    let root = signed(&nodes)?;
    if root != checkpoint.root { Err(other_root(&root, checkpoint)) } else { Ok(nodes) }
}

/// Adds the records of a segment that is complete to the tree, up to where the next one begins.
fn walk(
    file: &dyn File,
    scan: &mut Scan,
    walked: &mut Walked,
    until: Option<u64>,
    nodes: &Nodes,
) -> Result<(), LogError> {
    let mut kept = Vec::new();
    let mut written = walked.frontier.size();
    while Some(scan.index()) != until {
        let (index, offset) = (scan.index(), scan.offset());
        match scan.next(file)? {
            Step::Record { bytes, .. } => walked.push(bytes, &mut kept),
            Step::Invalid(damage) => return Err(damage.into()),
            Step::End => {
                let name = scan.name().to_owned();
                return Err(Damage::new(&name, offset, format!("record {index}"), "the end").into());
            }
        }
        flush(nodes, &mut written, walked, &mut kept, KEPT)?;
    }
    flush(nodes, &mut written, walked, &mut kept, 1)
}

/// Writes the hashes that were gathered, once they are `least`.
fn flush(
    nodes: &Nodes,
    written: &mut u64,
    walked: &Walked,
    kept: &mut Vec<Digest32>,
    least: usize,
) -> Result<(), LogError> {
    if kept.len() >= least {
        nodes.write(*written, kept)?;
        *written = walked.frontier.size();
        kept.clear();
    }
    Ok(())
}

/// Reads the last segment and cuts what was left half done. Returns what it leads to, where its records end, and its length.
fn recover(
    segment: &Segment,
    header: &Header,
    nodes: &Nodes,
    checkpoint: &Checkpoint,
) -> Result<(Walked, u64, u64), LogError> {
    let (file, name) = (&*segment.file, name_of(header.first));
    let mut walked = walked_to(header, nodes.frontier(header.first)?);
    let mut scan = Scan::new(header);
    let (mut kept, mut written) = (Vec::new(), walked.frontier.size());
    let end = loop {
        let offset = scan.offset();
        match scan.next(file)? {
            Step::Record { index, bytes, .. } => {
                walked.push(bytes, &mut kept);
                segment.mark(index, offset);
            }
            Step::End => break offset,
            Step::Invalid(damage) => {
                if walked.frontier.size() < checkpoint.size || scan.group_follows(file)? {
                    return Err(damage.into());
                }
                file.set_len(offset).map_err(LogError::fatal("cut", &name))?;
                break offset;
            }
        }
        if walked.frontier.size() == checkpoint.size && walked.frontier.root() != checkpoint.root {
            return Err(other_root(&walked.frontier.root(), checkpoint));
        }
        flush(nodes, &mut written, &walked, &mut kept, KEPT)?;
    };
    if walked.frontier.size() < checkpoint.size {
        let expected = format!("record {} of the {} that are signed", walked.frontier.size(), checkpoint.size);
        return Err(Damage::new(&name, end, expected, "the end").into());
    }
    flush(nodes, &mut written, &walked, &mut kept, 1)?;
    nodes.cut(walked.frontier.size())?;
    // What a killed writer wrote may not have been synced, and counts from now on.
    file.sync_data().map_err(LogError::fatal("sync", &name))?;
    let reserved = file.len().map_err(LogError::io("read", &name))?;
    Ok((walked, end, reserved))
}

pub(super) fn other_root(root: &Digest32, checkpoint: &Checkpoint) -> LogError {
    let offset = (checkpoint.origin.len() + checkpoint.size.to_string().len() + 2) as u64;
    let expected = format!("root {} of {} records", hex(root), checkpoint.size);
    Damage::new(CHECKPOINT, offset, expected, hex(&checkpoint.root)).into()
}
