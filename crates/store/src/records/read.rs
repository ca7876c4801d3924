//! Reading records.

use peermark_core::Sample;
use peermark_core::sealed::{Digest32, Sealed};
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::{Bases, ChainId, MAX_RECORD_PAGE_BYTES, MAX_RECORDS, RecordFilter, RecordPage, StoredRecord};
use crate::error::{RowError, RowKey, StoreError};
use crate::samples::{sample_of_row, saturated};
use crate::series::SeriesId;
use crate::store::Store;

/// Most topics that one chain is asked for.
const MAX_TOPICS: usize = 10_000;

/// Records that are fetched at a time; between them others get their turn.
const CHUNK: u32 = 64;

macro_rules! select_records {
    ($where:literal) => {
        concat!(
            "SELECT chain, seq, kind, topic, status, ended_ms, series, base, sealed FROM record WHERE chain = $1 AND ",
            $where
        )
    };
}

/// What becomes of a row that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unreadable {
    Fails,
    IsSkipped,
}

impl Store {
    /// Records of a chain in the order that the filter says, all read at one moment: at most `limit` of them, never more than
    /// [`MAX_RECORDS`] or [`MAX_RECORD_PAGE_BYTES`]. There is none only where the filter fits none.
    ///
    /// # Errors
    /// That a row cannot be read, or a failing database.
    pub async fn records(
        &self,
        chain: ChainId,
        filter: RecordFilter<'_>,
        limit: u32,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        Ok(self.record_page(chain, filter, limit).await?.records)
    }

    /// As [`Store::records`], and says whether it ends because of its bytes.
    ///
    /// # Errors
    /// That a row cannot be read, or a failing database.
    pub async fn record_page(
        &self,
        chain: ChainId,
        filter: RecordFilter<'_>,
        limit: u32,
    ) -> Result<RecordPage, StoreError> {
        self.read_records(chain, filter, limit, Unreadable::Fails).await
    }

    /// As [`Store::record_page`], but rows that cannot be read are counted and left out.
    ///
    /// # Errors
    /// A failing database.
    pub async fn readable_records(
        &self,
        chain: ChainId,
        filter: RecordFilter<'_>,
        limit: u32,
    ) -> Result<RecordPage, StoreError> {
        self.read_records(chain, filter, limit, Unreadable::IsSkipped).await
    }

    async fn read_records(
        &self,
        chain: ChainId,
        filter: RecordFilter<'_>,
        limit: u32,
        unreadable: Unreadable,
    ) -> Result<RecordPage, StoreError> {
        const ACTION: &str = "read records";
        let failed = StoreError::while_doing(ACTION);
        let limit = limit.min(MAX_RECORDS);
        let mut moment = self.begin_read(ACTION).await?;
        let (mut page, mut bases) = (RecordPage::default(), Bases::default());
        let (mut looked_at, mut bytes, mut after) = (0, 0, None);
        while looked_at < limit {
            let chunk = CHUNK.min(limit - looked_at);
            let rows = fetch(&mut moment, chain, filter, after, chunk).await?;
            for row in &rows {
                after = Some((row.try_get("ended_ms").map_err(&failed)?, row.try_get("seq").map_err(&failed)?));
                let stored: &[u8] = row.try_get("sealed").map_err(&failed)?;
                let stored = stored.len();
                match record_of_row(row, &mut moment, &mut bases).await {
                    Ok(record) => {
                        bytes += stored + record.sealed.len();
                        page.cut = bytes > MAX_RECORD_PAGE_BYTES && !page.records.is_empty();
                        if page.cut {
                            return Ok(page);
                        }
                        page.records.push(record);
                    }
                    Err(StoreError::Row(_)) if unreadable == Unreadable::IsSkipped => page.unreadable += 1,
                    Err(error) => return Err(error),
                }
            }
            looked_at += chunk;
            if rows.len() < chunk as usize {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(page)
    }

    /// The highest number of a chain, whether or not its record can be read; 0 where there is none.
    ///
    /// # Errors
    /// A failing database.
    pub async fn last_sequence(&self, chain: ChainId) -> Result<u64, StoreError> {
        let last: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM record WHERE chain = $1")
            .bind(chain.0)
            .fetch_one(self.read())
            .await
            .map_err(StoreError::while_doing("read the head of a chain"))?;
        Ok(last.unwrap_or(0).unsigned_abs())
    }

    /// How many records of a topic ended at this time (Unix ms) or later.
    ///
    /// # Errors
    /// A failing database.
    pub async fn count_records(&self, chain: ChainId, topic: &str, since_ms: u64) -> Result<u64, StoreError> {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM record WHERE chain = $1 AND topic = $2 AND ended_ms >= $3")
                .bind(chain.0)
                .bind(topic)
                .bind(saturated(since_ms))
                .fetch_one(self.read())
                .await
                .map_err(StoreError::while_doing("count records"))?;
        Ok(count.unsigned_abs())
    }

    /// Number and hash of the newest record of a chain; `None` before the first.
    ///
    /// # Errors
    /// That the row cannot be read, or a failing database.
    pub async fn head(&self, chain: ChainId) -> Result<Option<(u64, Digest32)>, StoreError> {
        let mut moment = self.begin_read("read the head of a chain").await?;
        head(&mut moment, chain).await
    }

    /// As [`Store::head`], after every write that was begun has ended, also one whose caller is gone: what is answered stays the head
    /// until somebody begins to write.
    ///
    /// # Errors
    /// That the row cannot be read, or a failing database.
    pub async fn settled_head(&self, chain: ChainId) -> Result<Option<(u64, Digest32)>, StoreError> {
        // Waits in the queue of those who write.
        let mut transaction = self.begin_write("read the head of a chain").await?;
        head(&mut transaction, chain).await
    }

    /// What the records of a chain are about, in alphabetical order.
    ///
    /// # Errors
    /// [`StoreError::TooMany`], or a failing database.
    pub async fn topics(&self, chain: ChainId) -> Result<Vec<String>, StoreError> {
        let mut topics: Vec<String> = Vec::new();
        // One step in the index a topic, however many records there are of each.
        loop {
            let after = topics.last().map_or("", String::as_str);
            let next: Option<String> =
                sqlx::query_scalar("SELECT min(topic) FROM record WHERE chain = $1 AND topic > $2")
                    .bind(chain.0)
                    .bind(after)
                    .fetch_one(self.read())
                    .await
                    .map_err(StoreError::while_doing("list topics"))?;
            let Some(next) = next else { return Ok(topics) };
            if topics.len() >= MAX_TOPICS {
                return Err(StoreError::TooMany {
                    what: "topics",
                    found: MAX_TOPICS as u64 + 1,
                    limit: MAX_TOPICS as u64,
                });
            }
            topics.push(next);
        }
    }

    /// The operation of this number in a series; `None` where there is none.
    ///
    /// # Errors
    /// That the row cannot be read, or a failing database.
    pub async fn observation(&self, series: SeriesId, seq: u64) -> Result<Option<Sample>, StoreError> {
        let row = sqlx::query(
            "SELECT series, seq, intended_ns, started_ns, ended_ns, bytes, value, outcome, class, culprit, trace FROM obs \
             WHERE series = $1 AND seq = $2",
        )
        .bind(series.0)
        .bind(saturated(seq))
        .fetch_optional(self.read())
        .await
        .map_err(StoreError::while_doing("read an observation"))?;
        row.as_ref().map(sample_of_row).transpose()
    }

    /// The number before the first record of a chain that ended at `cutoff_ms` or later: what is older by age. Records that say to
    /// end after `future_ms` do not count, so that a clock that was wrong once does not hold back those behind it. `None` where
    /// there is none so old.
    ///
    /// # Errors
    /// A failing database.
    pub async fn records_before(
        &self,
        chain: ChainId,
        cutoff_ms: u64,
        future_ms: u64,
    ) -> Result<Option<u64>, StoreError> {
        let failed = StoreError::while_doing("find old records");
        let (first, last): (Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT min(seq) FILTER (WHERE ended_ms BETWEEN $2 AND $3), max(seq) FROM record WHERE chain = $1",
        )
        .bind(chain.0)
        .bind(saturated(cutoff_ms))
        .bind(saturated(future_ms))
        .fetch_one(self.read())
        .await
        .map_err(&failed)?;
        Ok(first.map(|first| first - 1).or(last).map(i64::unsigned_abs).filter(|upto| *upto > 0))
    }
}

/// The next rows after one of this end and number.
async fn fetch(
    connection: &mut SqliteConnection,
    chain: ChainId,
    filter: RecordFilter<'_>,
    after: Option<(i64, i64)>,
    chunk: u32,
) -> Result<Vec<SqliteRow>, StoreError> {
    let query = match filter {
        RecordFilter::From(seq) => {
            let from = after.map_or(saturated(seq), |(_, seq)| seq.saturating_add(1));
            sqlx::query(select_records!("seq >= $2 ORDER BY seq LIMIT $3")).bind(chain.0).bind(from)
        }
        RecordFilter::Newest { topic, status } => {
            let sql = select_records!("topic = $2 AND status = $3 AND seq < $4 ORDER BY seq DESC LIMIT $5");
            sqlx::query(sql).bind(chain.0).bind(topic).bind(status).bind(after.map_or(i64::MAX, |(_, seq)| seq))
        }
        RecordFilter::Since { topic, ended_ms } => {
            let sql = select_records!(
                "topic = $2 AND ended_ms >= $3 AND (ended_ms, seq) < ($4, $5) ORDER BY ended_ms DESC, seq DESC LIMIT $6"
            );
            let (before_ms, before_seq) = after.unwrap_or((i64::MAX, i64::MAX));
            sqlx::query(sql).bind(chain.0).bind(topic).bind(saturated(ended_ms)).bind(before_ms).bind(before_seq)
        }
    };
    query.bind(i64::from(chunk)).fetch_all(connection).await.map_err(StoreError::while_doing("read records"))
}

pub(crate) async fn head(
    connection: &mut SqliteConnection,
    chain: ChainId,
) -> Result<Option<(u64, Digest32)>, StoreError> {
    let row = sqlx::query(
        "SELECT chain, seq, kind, topic, status, ended_ms, series, base, sealed FROM record WHERE chain = $1 \
         ORDER BY seq DESC LIMIT 1",
    )
    .bind(chain.0)
    .fetch_optional(&mut *connection)
    .await
    .map_err(StoreError::while_doing("read the head of a chain"))?;
    let Some(row) = row else { return Ok(None) };
    let record = record_of_row(&row, connection, &mut Bases::default()).await?;
    let damaged = |reason: String| RowError::Record {
        row: RowKey::Record { chain: chain.0, seq: record.seq.cast_signed() },
        reason,
    };
    let sealed = Sealed::decode(&record.sealed).map_err(|error| damaged(error.to_string()))?;
    if sealed.sequence() != record.seq {
        return Err(damaged(format!("it has the number {}", sealed.sequence())).into());
    }
    Ok(Some((record.seq, sealed.hash())))
}

pub(crate) async fn record_of_row(
    row: &SqliteRow,
    connection: &mut SqliteConnection,
    bases: &mut Bases,
) -> Result<StoredRecord, StoreError> {
    let failed = StoreError::while_doing("read a record");
    let number = |column: &str| row.try_get::<i64, _>(column).map_err(&failed);
    let text = |column: &str| row.try_get::<String, _>(column).map_err(&failed);
    let optional = |column: &str| row.try_get::<Option<i64>, _>(column).map_err(&failed);
    let (chain, seq) = (number("chain")?, number("seq")?);
    let key = RowKey::Record { chain, seq };
    let stored: Vec<u8> = row.try_get("sealed").map_err(&failed)?;
    Ok(StoredRecord {
        seq: key.unsigned("seq", seq)?,
        kind: text("kind")?,
        topic: text("topic")?,
        status: text("status")?,
        ended_ms: key.unsigned("ended_ms", number("ended_ms")?)?,
        series: optional("series")?.map(SeriesId),
        sealed: bases.unpack(connection, key, optional("base")?, stored).await?,
    })
}
