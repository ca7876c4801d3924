//! Datasets: files cut into blocks on the way in, put together on the way out, with memory that does not grow with the file.

mod download;
mod upload;

pub use download::{Dataset, DatasetError, Source};
pub use upload::{UploadError, UploadOptions, upload};
