//! Walking all that is on disk: every checksum, the hash chain, the tree, the checkpoint, the snapshots.

use peermark_core::sealed::Digest32;

use super::checkpoint::Checkpoint;
use super::error::{Damage, LogError, hex};
use super::files::{DRAFT, Files};
use super::nodes::{NODES, Nodes, place};
use super::open::{Walked, firsts, list, load_checkpoint, other_root};
use super::scan::{self, Scan, Step};
use super::segment::name_of;
use super::snapshot;
use super::tree::stored_count;
use super::{CHECKPOINT, Identity};

/// Hashes that are gathered before they are compared.
const KEPT: usize = 4_096;

/// What [`verify`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Records that are there and sound, up to the first damage.
    pub size: u64,
    /// Root of the tree of these.
    pub root: Digest32,
    /// Value of the hash chain after these.
    pub chain: Digest32,
    /// Segments that were read.
    pub segments: u64,
    /// The checkpoint, where it can be read and the log signed it.
    pub checkpoint: Option<Checkpoint>,
    /// Heights of the snapshots that are sound.
    pub snapshots: Vec<u64>,
    /// What is not as it was written.
    pub faults: Vec<Damage>,
    /// What a crash leaves behind and the next start cuts off or makes anew.
    pub unfinished: Vec<Damage>,
}

impl Verified {
    /// Whether everything is as it was written.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.unfinished.is_empty()
    }
}

/// Reads everything that is on disk of a log that nobody writes, and hands every record to `each`, in order. Nothing is changed.
///
/// Behind damage in a segment nothing more of the segments is read: what follows could not be told from what was forged.
///
/// # Errors
/// [`LogError::Io`] where the system cannot read; what is read and wrong is in [`Verified`].
pub fn verify(files: &dyn Files, identity: &Identity, mut each: impl FnMut(u64, &[u8])) -> Result<Verified, LogError> {
    let mut walk = Walk::new(files, identity)?;
    let firsts = firsts(files)?;
    for (number, first) in firsts.iter().enumerate() {
        let next = firsts.get(number + 1).copied();
        match walk.segment(*first, next, &mut each) {
            Ok(true) => {}
            Ok(false) => break,
            Err(LogError::Damaged(damage)) => {
                walk.faults.push(damage);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    if firsts.is_empty() {
        walk.faults.push(Damage::new(&name_of(0), 0, "a segment", "no file"));
    }
    walk.end()
}

struct Walk<'a> {
    files: &'a dyn Files,
    identity: &'a Identity,
    walked: Walked,
    nodes: Option<Nodes>,
    /// First record of the last segment. The hashes before it were synced when it was begun; later ones are made anew at every start.
    last: u64,
    /// Tree size from which on hashes are gathered and not compared yet.
    compared: u64,
    kept: Vec<Digest32>,
    checkpoint: Option<Checkpoint>,
    segments: u64,
    faults: Vec<Damage>,
    unfinished: Vec<Damage>,
}

impl<'a> Walk<'a> {
    fn new(files: &'a dyn Files, identity: &'a Identity) -> Result<Self, LogError> {
        let (mut faults, mut unfinished) = (Vec::new(), Vec::new());
        let checkpoint = match load_checkpoint(files, identity) {
            Ok((checkpoint, _)) => Some(checkpoint),
            Err(LogError::Damaged(damage)) => {
                faults.push(damage);
                None
            }
            Err(LogError::Checkpoint(error)) => {
                faults.push(Damage::new(CHECKPOINT, 0, "a signed checkpoint", error.to_string()));
                None
            }
            Err(error) => return Err(error),
        };
        let nodes = Nodes::open(files, &identity.genesis)?;
        if nodes.is_none() {
            unfinished.push(Damage::new(NODES, 0, "the tree's hashes", "no file of this log"));
        }
        for draft in list(files)?.iter().filter(|name| name.ends_with(DRAFT)) {
            unfinished.push(Damage::new(draft, 0, "no file", "one that was not completed"));
        }
        let walked = Walked::new(identity);
        let last = firsts(files)?.last().copied().unwrap_or_default();
        Ok(Self {
            files,
            identity,
            walked,
            nodes,
            last,
            compared: 0,
            kept: Vec::new(),
            checkpoint,
            segments: 0,
            faults,
            unfinished,
        })
    }

    /// Reads one segment; `false` where it is the last that can be.
    fn segment(&mut self, first: u64, next: Option<u64>, each: &mut impl FnMut(u64, &[u8])) -> Result<bool, LogError> {
        let (file, header) = scan::open(self.files, first)?;
        let name = name_of(first);
        let expected = self.walked.header(self.identity);
        if expected.first != first {
            return Err(Damage::new(&name_of(expected.first), 0, "a segment", "no file").into());
        }
        header.expect(&name, &expected)?;
        self.segments += 1;
        let mut scan = Scan::new(&header);
        loop {
            let (index, offset) = (scan.index(), scan.offset());
            match scan.next(&*file)? {
                Step::Record { bytes, .. } => {
                    each(index, bytes);
                    self.walked.push(bytes, &mut self.kept);
                    self.signed();
                    if self.kept.len() >= KEPT {
                        self.compare()?;
                    }
                }
                Step::End => {
                    let length = file.len().map_err(LogError::io("read", &name))?;
                    if next.is_some() && length != offset {
                        return Err(Damage::new(&name, offset, "the end", format!("{} zeros", length - offset)).into());
                    }
                    return Ok(true);
                }
                Step::Invalid(damage) => {
                    let signed = self.checkpoint.as_ref().is_some_and(|checkpoint| index < checkpoint.size);
                    if next.is_some() || signed || scan.group_follows(&*file)? {
                        return Err(damage.into());
                    }
                    self.unfinished.push(damage);
                    return Ok(false);
                }
            }
        }
    }

    /// Compares with the checkpoint where the walk is at its size.
    fn signed(&mut self) {
        let size = self.walked.frontier.size();
        let Some(checkpoint) = self.checkpoint.as_ref().filter(|checkpoint| checkpoint.size == size) else { return };
        let root = self.walked.frontier.root();
        if root != checkpoint.root
            && let LogError::Damaged(damage) = other_root(&root, checkpoint)
        {
            self.faults.push(damage);
        }
    }

    fn compare(&mut self) -> Result<(), LogError> {
        let compared = self.compared;
        self.compared = self.walked.frontier.size();
        let kept = std::mem::take(&mut self.kept);
        match self.nodes.as_ref().map(|nodes| nodes.compare(compared, &kept)).transpose()? {
            Some(Err(damage)) => {
                let unfinished = damage.offset >= place(stored_count(self.last));
                if unfinished { &mut self.unfinished } else { &mut self.faults }.push(damage);
                // One place is enough: it is made anew as a whole.
                self.nodes = None;
            }
            Some(Ok(false)) => {
                let at = place(stored_count(compared));
                self.unfinished.push(Damage::new(NODES, at, format!("{} hashes", kept.len()), "the end"));
                self.nodes = None;
            }
            Some(Ok(true)) | None => {}
        }
        Ok(())
    }

    fn end(mut self) -> Result<Verified, LogError> {
        self.compare()?;
        let size = self.walked.frontier.size();
        let whole = self.faults.is_empty();
        if let Some(checkpoint) = self.checkpoint.as_ref().filter(|checkpoint| checkpoint.size > size)
            && whole
        {
            let expected = format!("record {size} of the {} that are signed", checkpoint.size);
            self.faults.push(Damage::new(&name_of(size), 0, expected, "the end"));
        }
        if let Some(nodes) = self.nodes.as_ref().filter(|_| whole) {
            let (length, expected) = (nodes.len()?, place(stored_count(size)));
            if length > expected {
                self.unfinished.push(Damage::new(NODES, expected, "the end", format!("{} bytes", length - expected)));
            }
        }
        let snapshots = self.snapshots()?;
        Ok(Verified {
            size,
            root: self.walked.frontier.root(),
            chain: self.walked.chain,
            segments: self.segments,
            checkpoint: self.checkpoint,
            snapshots,
            faults: self.faults,
            unfinished: self.unfinished,
        })
    }

    fn snapshots(&mut self) -> Result<Vec<u64>, LogError> {
        let mut sound = Vec::new();
        for height in snapshot::heights(self.files)? {
            let snapshot = match snapshot::load(self.files, height, &self.identity.genesis) {
                Err(LogError::Damaged(damage)) => {
                    self.faults.push(damage);
                    continue;
                }
                loaded => loaded?,
            };
            // Its root is compared where the hashes can be trusted, which the walk has shown.
            if let Some(nodes) = self.nodes.as_ref().filter(|_| snapshot.size <= self.walked.frontier.size()) {
                let root = nodes.frontier(snapshot.size)?.root();
                if root != snapshot.root {
                    let name = snapshot::name_of(height);
                    self.faults.push(Damage::new(&name, 60, format!("root {}", hex(&root)), hex(&snapshot.root)));
                    continue;
                }
            }
            sound.push(height);
        }
        Ok(sound)
    }
}
