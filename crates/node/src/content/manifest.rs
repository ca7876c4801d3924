//! The manifest block: what a dataset consists of. Layout and golden vectors are Archivist's and Codex's.

use prost::Message;
use thiserror::Error;

use super::cid::{BLOCK_CODEC, Digest, InvalidCid, SHA2_256, TREE_CODEC};

/// Manifests are small; a larger one is refused before it is parsed.
pub(crate) const MAX_MANIFEST_BYTES: usize = 64 * 1024;

/// nim-libp2p's ordinal of CIDv1, which is what the network writes on the wire.
const CID_V1_ORDINAL: u32 = 2;

/// Largest block that is accepted; Bitswap peers limit blocks to 2 MiB.
pub(crate) const MAX_BLOCK_BYTES: u32 = 2 << 20;

/// Largest dataset and most blocks that are read: far above any real one, and small enough that no tree arithmetic overflows.
const MAX_DATASET_BYTES: u64 = 1 << 50;
const MAX_BLOCKS: u64 = 1 << 40;

/// A dataset: its tree, its true length and how it was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Root of the Merkle tree over the blocks.
    pub tree: Digest,
    /// Bytes of every block; the last one is padded with zeros to it.
    pub block_size: u32,
    /// Bytes of the dataset without padding, at least 1.
    pub dataset_size: u64,
    /// Name given with the upload.
    pub filename: Option<String>,
    /// Media type given with the upload.
    pub mimetype: Option<String>,
}

/// Why bytes are no manifest that this node can read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidManifest {
    /// Larger than any manifest.
    #[error("manifest too large: {bytes} bytes, at most {MAX_MANIFEST_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not the expected protobuf message.
    #[error("malformed manifest: {reason}")]
    Malformed {
        /// What the decoder said.
        reason: String,
    },
    /// A field has a value that no reader can work with.
    #[error("manifest field {field}: {found}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What was found.
        found: String,
    },
    /// The tree CID is not a SHA-256 CID.
    #[error("manifest tree: {0}")]
    Tree(#[from] InvalidCid),
    /// Erasure-coded datasets are read by the network's own nodes only.
    #[error("protected (erasure-coded) datasets are not supported")]
    Protected,
}

#[derive(Clone, PartialEq, Message)]
struct Outer {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
}

#[derive(Clone, PartialEq, Message)]
struct Header {
    #[prost(bytes = "vec", tag = "1")]
    tree_cid: Vec<u8>,
    #[prost(uint32, tag = "2")]
    block_size: u32,
    #[prost(uint64, tag = "3")]
    dataset_size: u64,
    #[prost(uint32, tag = "4")]
    codec: u32,
    #[prost(uint32, tag = "5")]
    hash_codec: u32,
    #[prost(uint32, tag = "6")]
    version: u32,
    #[prost(bytes = "vec", optional, tag = "7")]
    erasure: Option<Vec<u8>>,
    #[prost(string, optional, tag = "8")]
    filename: Option<String>,
    #[prost(string, optional, tag = "9")]
    mimetype: Option<String>,
}

impl Manifest {
    /// How many blocks the dataset has.
    pub fn block_count(&self) -> u64 {
        self.dataset_size.div_ceil(u64::from(self.block_size))
    }

    /// The manifest block's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let header = Header {
            tree_cid: self.tree.cid(TREE_CODEC).to_bytes(),
            block_size: self.block_size,
            dataset_size: self.dataset_size,
            codec: BLOCK_CODEC as u32,
            hash_codec: SHA2_256 as u32,
            version: CID_V1_ORDINAL,
            erasure: None,
            filename: self.filename.clone(),
            mimetype: self.mimetype.clone(),
        };
        Outer { header: Some(header) }.encode_to_vec()
    }

    /// Reads a manifest block.
    ///
    /// # Errors
    /// [`InvalidManifest`] when the bytes are too many, malformed, or say what cannot be.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidManifest> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(InvalidManifest::TooLarge { bytes: bytes.len() });
        }
        let outer = Outer::decode(bytes).map_err(|error| InvalidManifest::Malformed { reason: error.to_string() })?;
        let header = outer.header.ok_or(InvalidManifest::Malformed { reason: "no header".into() })?;
        if header.erasure.is_some() {
            return Err(InvalidManifest::Protected);
        }
        let field = |field, found: String| Err(InvalidManifest::Field { field, found });
        if header.block_size == 0 || header.block_size > MAX_BLOCK_BYTES {
            return field("blockSize", header.block_size.to_string());
        }
        let blocks = header.dataset_size.div_ceil(u64::from(header.block_size));
        if header.dataset_size == 0 || header.dataset_size > MAX_DATASET_BYTES || blocks > MAX_BLOCKS {
            return field("datasetSize", header.dataset_size.to_string());
        }
        if u64::from(header.codec) != BLOCK_CODEC || u64::from(header.hash_codec) != SHA2_256 {
            return field("codec", format!("0x{:x}, hash 0x{:x}", header.codec, header.hash_codec));
        }
        let cid = cid::Cid::try_from(header.tree_cid.as_slice())
            .map_err(|error| InvalidManifest::Malformed { reason: error.to_string() })?;
        Ok(Self {
            tree: Digest::of_cid(&cid)?,
            block_size: header.block_size,
            dataset_size: header.dataset_size,
            filename: header.filename.filter(|name| !name.is_empty()),
            mimetype: header.mimetype.filter(|kind| !kind.is_empty()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::content::cid::{MANIFEST_CODEC, block_cid, cid_text, digest_of};
    use crate::content::tree::TreeBuilder;

    /// Cuts, pads, hashes: the rules of the network in their plainest form. Returns block 0, tree and manifest CIDs.
    fn cids(content: &[u8], block_size: u32) -> (String, String, String, Manifest) {
        let mut builder = TreeBuilder::default();
        let mut first = None;
        for chunk in content.chunks(block_size as usize) {
            let mut block = chunk.to_vec();
            block.resize(block_size as usize, 0);
            let digest = digest_of(&block);
            first.get_or_insert(digest);
            builder.push(digest, &mut |_| ());
        }
        let tree = builder.finish(&mut |_| ()).unwrap();
        let manifest =
            Manifest { tree, block_size, dataset_size: content.len() as u64, filename: None, mimetype: None };
        (
            cid_text(&first.unwrap().cid(BLOCK_CODEC)),
            cid_text(&tree.cid(TREE_CODEC)),
            cid_text(&block_cid(MANIFEST_CODEC, &manifest.encode())),
            manifest,
        )
    }

    #[test]
    fn golden_vectors() {
        let bytes: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
        let vectors: [(&[u8], u32, [&str; 3]); 3] = [
            (
                b"hello world",
                65_536,
                [
                    "zDxWB8ED5HQK12sEYBT8XLPy6rvz2owWUhubM5JThtWdRJcmrHnr",
                    "zDzSvJTf3WiMn7YfKzYg4ZVVY5Wse8ADH6wvgyHkxK5VZU5okpmf",
                    "zDvZRwzm2HaZLtSRUJAt5sSLMamtnV7wz3ev9juJSxN3R2nMiH78",
                ],
            ),
            (
                b"hello world",
                524_288,
                [
                    "zDxWB8ED8iahhcdWfdA9G1sJgdx7CQghS2U5V5pbcjqyMKDCT6yW",
                    "zDzSvJTfCQLd8d3LNvgEHepfPUxBQRNxGBTR4g9WLRBjcDM2q2gM",
                    "zDvZRwzm4JtfW7EkW9DkJWi9KrDTBDuBnWuCL4M8ksggkz8ASZQW",
                ],
            ),
            (
                &bytes,
                65_536,
                [
                    "zDxWB8ED3dHw7Hob9QRy364ZULERsk7CRtaLCfVD2igGJgsgdpfj",
                    "zDzSvJTf2sB8go7p8sXJhD8Q3S9JzZpphBniKsYiHhp99528yQHi",
                    "zDvZRwzmDtF6yL7Kc8AoMEaBA1QKD6NX5tVGGLfXU1sULTjAARRG",
                ],
            ),
        ];
        for (content, block_size, [block, tree, manifest]) in vectors {
            let found = cids(content, block_size);
            assert_eq!(found.0, block);
            assert_eq!(found.2, manifest);
            assert_eq!(found.1, tree);
        }
        let hello = cids(b"hello world", 65_536).3.encode();
        let hex: String = hello.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "0a360a2601839a0312202e2f8e8a4490ef7cc9e5064b9cf8b51f28b6020faade7c0c704a4a819b66949210808004180b20829a0328123002"
        );
    }

    proptest! {
        #[test]
        fn decoding_anything_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Manifest::decode(&bytes);
        }

        #[test]
        fn manifests_read_back(size in 1u64..1 << 40, block_size in 1u32..=MAX_BLOCK_BYTES, name in proptest::option::of("[a-z]{1,20}")) {
            let manifest = Manifest { tree: digest_of(b"t"), block_size, dataset_size: size, filename: name, mimetype: None };
            prop_assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
        }
    }

    #[test]
    fn impossible_fields_are_named() {
        let mut manifest = cids(b"x", 1024).3;
        manifest.block_size = 0;
        assert!(matches!(Manifest::decode(&manifest.encode()), Err(InvalidManifest::Field { field: "blockSize", .. })));
        assert!(matches!(Manifest::decode(&[0; MAX_MANIFEST_BYTES + 1]), Err(InvalidManifest::TooLarge { .. })));
    }
}
