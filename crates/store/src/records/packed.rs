//! Records take less room: the first one of a topic is the dictionary of those that follow, which have the same names of members
//! and often the same texts. What stays is mostly the signature and the previous hash, 96 bytes that nothing makes shorter.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;

use peermark_core::sealed::MAX_BYTES;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use zstd::bulk::{Compressor, Decompressor};

use super::ChainId;
use crate::error::{RowError, RowKey, StoreError};

/// Records are short and alike, so higher levels find little more.
const LEVEL: i32 = 3;

/// The dictionaries that one call has met.
#[derive(Default)]
pub(crate) struct Bases {
    by_id: HashMap<i64, Decompressor<'static>>,
}

/// Compresses the records of one call.
#[derive(Default)]
pub(crate) struct Packer {
    by_topic: HashMap<String, (i64, Compressor<'static>)>,
}

impl Packer {
    /// The record as it is stored, and the id of its dictionary; `None` where it is stored as it is. The first record of a topic
    /// becomes its dictionary.
    pub(super) async fn pack(
        &mut self,
        connection: &mut SqliteConnection,
        chain: ChainId,
        topic: &str,
        sealed: &[u8],
    ) -> Result<(Option<i64>, Vec<u8>), StoreError> {
        if !self.by_topic.contains_key(topic) {
            let (id, bytes) = base_of_topic(connection, chain, topic, sealed).await?;
            let Ok(compressor) = Compressor::with_dictionary(LEVEL, &bytes) else { return Ok((None, sealed.to_vec())) };
            self.by_topic.insert(topic.to_owned(), (id, compressor));
        }
        let packed = self.by_topic.get_mut(topic).and_then(|(id, with)| Some((*id, with.compress(sealed).ok()?)));
        let shorter = packed.filter(|(_, packed)| packed.len() < sealed.len());
        Ok(shorter.map_or_else(|| (None, sealed.to_vec()), |(id, packed)| (Some(id), packed)))
    }
}

/// The dictionary of a topic and its id.
async fn base_of_topic(
    connection: &mut SqliteConnection,
    chain: ChainId,
    topic: &str,
    sealed: &[u8],
) -> Result<(i64, Vec<u8>), StoreError> {
    let failed = StoreError::while_doing("store a record");
    let found = sqlx::query("SELECT id, bytes FROM record_base WHERE chain = $1 AND topic = $2")
        .bind(chain.0)
        .bind(topic)
        .fetch_optional(&mut *connection)
        .await
        .map_err(&failed)?;
    if let Some(row) = found {
        return Ok((row.try_get("id").map_err(&failed)?, row.try_get("bytes").map_err(&failed)?));
    }
    let id = sqlx::query_scalar("INSERT INTO record_base (chain, topic, bytes) VALUES ($1, $2, $3) RETURNING id")
        .bind(chain.0)
        .bind(topic)
        .bind(sealed)
        .fetch_one(connection)
        .await
        .map_err(&failed)?;
    Ok((id, sealed.to_vec()))
}

impl Bases {
    /// The record of a row.
    pub(super) async fn unpack(
        &mut self,
        connection: &mut SqliteConnection,
        row: RowKey,
        base: Option<i64>,
        stored: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        let Some(base) = base else { return Ok(stored) };
        let damaged =
            |error: io::Error| StoreError::from(RowError::Record { row: row.clone(), reason: error.to_string() });
        let with = match self.by_id.entry(base) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let bytes: Option<Vec<u8>> = sqlx::query_scalar("SELECT bytes FROM record_base WHERE id = $1")
                    .bind(base)
                    .fetch_optional(connection)
                    .await
                    .map_err(StoreError::while_doing("read a record"))?;
                place.insert(Decompressor::with_dictionary(&bytes.unwrap_or_default()).map_err(&damaged)?)
            }
        };
        with.decompress(&stored, MAX_BYTES).map_err(damaged)
    }
}
