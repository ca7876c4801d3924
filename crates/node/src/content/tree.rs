//! The Merkle tree over the blocks of a dataset, built while the blocks stream by.
//!
//! `parent = SHA-256(left ‖ right ‖ key)` with key `0x01` on the bottom layer and `0x00` above; an odd last node pairs with 32 zero
//! bytes and key `0x03` (bottom) or `0x02` (above). A single leaf still gets one compression, so the depth is at least 1.

use bytes::Bytes;

use super::cid::{Digest, digest_of};

const KEY_INNER: u8 = 0x00;
const KEY_BOTTOM: u8 = 0x01;
const KEY_ODD_INNER: u8 = 0x02;
const KEY_ODD_BOTTOM: u8 = 0x03;

/// Bytes of an inner node: two digests and a key.
pub(crate) const INNER_NODE_BYTES: usize = 65;

/// An inner node as it is stored and sent: 65 bytes whose SHA-256 is the node's digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InnerNode {
    /// Its digest.
    pub digest: Digest,
    /// `left ‖ right ‖ key`.
    pub bytes: Bytes,
}

/// What an inner node points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Children {
    /// The left child.
    pub(crate) left: Digest,
    /// The right child; `None` for the odd last node of a layer.
    pub(crate) right: Option<Digest>,
    /// Whether the children are blocks, not inner nodes.
    pub(crate) are_leaves: bool,
}

/// Builds a tree from its leaves in order, holding one pending node per layer (log₂ n), whatever the number of leaves.
#[derive(Debug, Default)]
pub struct TreeBuilder {
    layers: Vec<Layer>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Layer {
    count: u64,
    pending: Option<Digest>,
}

impl InnerNode {
    fn combine(left: Digest, right: Option<Digest>, bottom: bool) -> Self {
        let key = match (bottom, right.is_some()) {
            (true, true) => KEY_BOTTOM,
            (false, true) => KEY_INNER,
            (true, false) => KEY_ODD_BOTTOM,
            (false, false) => KEY_ODD_INNER,
        };
        let mut bytes = Vec::with_capacity(INNER_NODE_BYTES);
        bytes.extend_from_slice(&left.0);
        bytes.extend_from_slice(&right.map_or([0; 32], |digest| digest.0));
        bytes.push(key);
        Self { digest: digest_of(&bytes), bytes: bytes.into() }
    }
}

impl Children {
    /// Reads an inner node's bytes. `None` when they are none.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (left, rest) = bytes.split_first_chunk::<32>()?;
        let (right, key) = rest.split_first_chunk::<32>()?;
        let (left, right) = (Digest(*left), Digest(*right));
        let (are_leaves, odd) = match key {
            [KEY_INNER] => (false, false),
            [KEY_BOTTOM] => (true, false),
            [KEY_ODD_INNER] => (false, true),
            [KEY_ODD_BOTTOM] => (true, true),
            _ => return None,
        };
        match (odd, right.0 == [0; 32]) {
            (true, true) => Some(Self { left, right: None, are_leaves }),
            (true, false) => None,
            (false, _) => Some(Self { left, right: Some(right), are_leaves }),
        }
    }
}

impl TreeBuilder {
    /// Adds the next leaf; hands every inner node that is now complete to `emit`.
    pub fn push(&mut self, leaf: Digest, emit: &mut impl FnMut(InnerNode)) {
        self.push_at(0, leaf, emit);
    }

    /// Closes the tree and returns its root, `None` without leaves.
    pub fn finish(mut self, emit: &mut impl FnMut(InnerNode)) -> Option<Digest> {
        let mut level = 0;
        while let Some(layer) = self.layers.get(level).copied() {
            if level > 0 && layer.count == 1 {
                return layer.pending;
            }
            if let Some(odd) = layer.pending {
                let node = InnerNode::combine(odd, None, level == 0);
                let digest = node.digest;
                emit(node);
                self.push_at(level + 1, digest, emit);
            }
            level += 1;
        }
        None
    }

    fn push_at(&mut self, level: usize, digest: Digest, emit: &mut impl FnMut(InnerNode)) {
        if self.layers.len() == level {
            self.layers.push(Layer::default());
        }
        let layer = &mut self.layers[level];
        layer.count += 1;
        match layer.pending.take() {
            None => layer.pending = Some(digest),
            Some(left) => {
                let node = InnerNode::combine(left, Some(digest), level == 0);
                let parent = node.digest;
                emit(node);
                self.push_at(level + 1, parent, emit);
            }
        }
    }
}

/// Layers above the leaves of a tree with this many leaves (at least 1).
pub(crate) fn depth(leaves: u64) -> u32 {
    leaves.max(2).next_power_of_two().trailing_zeros()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// The definition, layer by layer, as an oracle for the streaming builder.
    fn root_by_layers(leaves: &[Digest]) -> Digest {
        let mut layer = leaves.to_vec();
        let mut bottom = true;
        while bottom || layer.len() > 1 {
            layer =
                layer.chunks(2).map(|pair| InnerNode::combine(pair[0], pair.get(1).copied(), bottom).digest).collect();
            bottom = false;
        }
        layer[0]
    }

    fn walk(root: Digest, nodes: &HashMap<Digest, Bytes>, leaves: &mut Vec<Digest>) {
        let children = Children::parse(&nodes[&root]).unwrap();
        for child in [Some(children.left), children.right].into_iter().flatten() {
            if children.are_leaves { leaves.push(child) } else { walk(child, nodes, leaves) }
        }
    }

    proptest! {
        #[test]
        fn streaming_equals_the_definition_and_walks_back_to_its_leaves(n in 1u32..300) {
            let leaves: Vec<Digest> = (0..n).map(|i| digest_of(&i.to_be_bytes())).collect();
            let mut nodes = HashMap::new();
            let mut builder = TreeBuilder::default();
            let mut emit = |node: InnerNode| { nodes.insert(node.digest, node.bytes); };
            leaves.iter().for_each(|leaf| builder.push(*leaf, &mut emit));
            let root = builder.finish(&mut emit).unwrap();
            prop_assert_eq!(root, root_by_layers(&leaves));
            let mut walked = Vec::new();
            walk(root, &nodes, &mut walked);
            prop_assert_eq!(walked, leaves);
        }

        #[test]
        fn parsing_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Children::parse(&bytes);
        }
    }

    #[test]
    fn depth_counts_layers_above_the_leaves() {
        let depths: Vec<u32> = [1, 2, 3, 4, 5, 8, 9, 16_384].into_iter().map(depth).collect();
        assert_eq!(depths, [1, 1, 2, 2, 3, 3, 4, 14]);
    }

    #[test]
    fn no_leaves_no_root() {
        assert_eq!(TreeBuilder::default().finish(&mut |_| ()), None);
    }
}
