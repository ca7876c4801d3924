//! Writing records.

use peermark_core::Sample;
use peermark_core::sealed::MAX_BYTES;
use sqlx::sqlite::SqliteConnection;

use super::packed::Packer;
use super::{ChainId, ChainKey, MAX_RECORD_BATCH, NewRecord, Observed};
use crate::error::{StoreError, bounded, signed};
use crate::samples;
use crate::store::Store;

const ACTION: &str = "store a record";

/// Longest kind, topic and status.
const MAX_NAME_BYTES: usize = 128;

impl Store {
    /// The chain of these records; it is made where there is none.
    ///
    /// # Errors
    /// A text beyond its bound, or a failing database.
    pub async fn chain(&self, key: &ChainKey) -> Result<ChainId, StoreError> {
        const ACTION: &str = "find a chain";
        let mut transaction = self.begin_write(ACTION).await?;
        let id = sqlx::query_scalar(
            "INSERT INTO chain (domain, network, signer) VALUES ($1, $2, $3) \
             ON CONFLICT (domain, network, signer) DO UPDATE SET domain = excluded.domain RETURNING id",
        )
        .bind(bounded("domain", &key.domain, MAX_NAME_BYTES)?)
        .bind(bounded("network", &key.network, MAX_NAME_BYTES)?)
        .bind(&key.signer.0[..])
        .fetch_one(&mut *transaction)
        .await
        .map_err(StoreError::while_doing(ACTION))?;
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))?;
        Ok(ChainId(id))
    }

    /// Stores a record and its observation in one transaction: both are on disk when this returns, or neither is there.
    ///
    /// # Errors
    /// As [`Store::put_records`].
    pub async fn put_record(&self, chain: ChainId, record: &NewRecord<'_>) -> Result<(), StoreError> {
        self.put_records(chain, std::slice::from_ref(record)).await
    }

    /// Stores records and their observations in one transaction, all or none. Signatures and the order of hashes are the
    /// caller's business.
    ///
    /// # Errors
    /// [`StoreError::NoSuchChain`], [`StoreError::RecordAlreadyStored`], [`StoreError::NoSuchSeries`], [`StoreError::AlreadyStored`]
    /// for an observation, [`StoreError::TooMany`] above [`MAX_RECORD_BATCH`], a text or number beyond its bound, or a failing
    /// database ([`StoreError::is_full`]).
    pub async fn put_records(&self, chain: ChainId, records: &[NewRecord<'_>]) -> Result<(), StoreError> {
        if records.len() > MAX_RECORD_BATCH {
            let (found, limit) = (records.len() as u64, MAX_RECORD_BATCH as u64);
            return Err(StoreError::TooMany { what: "records", found, limit });
        }
        let mut transaction = self.begin_write(ACTION).await?;
        insert(&mut transaction, chain, records).await?;
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))
    }
}

pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    chain: ChainId,
    records: &[NewRecord<'_>],
) -> Result<(), StoreError> {
    require_chain(connection, chain).await?;
    let mut packer = Packer::default();
    for record in records {
        insert_one(connection, chain, record, &mut packer).await?;
    }
    Ok(())
}

async fn insert_one(
    connection: &mut SqliteConnection,
    chain: ChainId,
    record: &NewRecord<'_>,
    packer: &mut Packer,
) -> Result<(), StoreError> {
    let NewRecord { meta, sealed, observed } = record;
    if sealed.len() > MAX_BYTES {
        return Err(StoreError::TooLong { what: "record", bytes: sealed.len(), limit: MAX_BYTES });
    }
    let seq = signed("seq", meta.seq)?;
    let ended_ms = signed("ended_ms", meta.ended_ms)?;
    let topic = bounded("topic", meta.topic, MAX_NAME_BYTES)?;
    if let Some(Observed { series, sample }) = observed {
        samples::insert(connection, *series, &[Sample { seq: meta.seq, ..*sample }]).await?;
    }
    let (base, stored) = packer.pack(connection, chain, topic, sealed).await?;
    let inserted = sqlx::query(
        "INSERT INTO record (chain, seq, kind, topic, status, ended_ms, series, base, sealed) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(chain.0)
    .bind(seq)
    .bind(bounded("kind", meta.kind, MAX_NAME_BYTES)?)
    .bind(topic)
    .bind(bounded("status", meta.status, MAX_NAME_BYTES)?)
    .bind(ended_ms)
    .bind(observed.map(|observed| observed.series.0))
    .bind(base)
    .bind(stored)
    .execute(connection)
    .await;
    inserted.map(drop).map_err(|source| match source.as_database_error() {
        Some(error) if error.is_unique_violation() => StoreError::RecordAlreadyStored { chain: chain.0, seq: meta.seq },
        _ => StoreError::Database { action: ACTION, source },
    })
}

async fn require_chain(connection: &mut SqliteConnection, chain: ChainId) -> Result<(), StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM chain WHERE id = $1")
        .bind(chain.0)
        .fetch_optional(connection)
        .await
        .map_err(StoreError::while_doing(ACTION))?;
    found.map(drop).ok_or(StoreError::NoSuchChain { chain: chain.0 })
}
