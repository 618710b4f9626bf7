//! The bytes of attachments, in an object store: one object each, `<account>/<attachment>`. The name of a file is no part of it.

use std::{io, path::Path as FilePath, sync::Arc};

use bytes::Bytes;
use frontdesk_db::AccountId;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutPayload, local::LocalFileSystem,
    path::Path,
};
use uuid::Uuid;

/// Size of the parts in which bytes are written (bytes). A writer holds one in memory.
const PART_BYTES: usize = 64 * 1024;

/// The object store. Clones share it.
#[derive(Clone)]
pub(crate) struct Objects(Arc<dyn ObjectStore>);

/// Bytes that are being written. They become the object with [`NewObject::complete`]; dropped before, nothing of them stays.
pub(crate) struct NewObject {
    upload: Box<dyn MultipartUpload>,
    part: Vec<u8>,
}

impl Objects {
    /// A folder, which is created where it does not exist. An object that was completed survives a loss of power.
    pub(crate) fn in_folder(folder: &FilePath) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let folder = LocalFileSystem::new_with_prefix(folder).map_err(io::Error::other)?;
        Ok(Self(Arc::new(folder.with_fsync(true))))
    }

    /// Begins to write an object, and does not change the one that exists.
    pub(crate) async fn create(&self, account: AccountId, id: Uuid) -> io::Result<NewObject> {
        let upload = self.0.put_multipart_opts(&path(account, id), PutMultipartOptions::default()).await;
        Ok(NewObject { upload: upload.map_err(io::Error::other)?, part: Vec::new() })
    }

    /// The bytes of an object. None: there is no such object.
    pub(crate) async fn read(
        &self,
        account: AccountId,
        id: Uuid,
    ) -> io::Result<Option<BoxStream<'static, io::Result<Bytes>>>> {
        match self.0.get_opts(&path(account, id), GetOptions::default()).await {
            Ok(found) => Ok(Some(found.into_stream().map_err(io::Error::other).boxed())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Deletes an object, if it exists.
    pub(crate) async fn delete(&self, account: AccountId, id: Uuid) -> io::Result<()> {
        match self.0.delete(&path(account, id)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

impl NewObject {
    /// Adds bytes.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PART_BYTES - self.part.len()));
            self.part.extend_from_slice(now);
            bytes = later;
            if self.part.len() == PART_BYTES {
                self.write_part().await?;
            }
        }
        Ok(())
    }

    /// Writes what is still in memory, so that [`NewObject::complete`] is short.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if self.part.is_empty() { Ok(()) } else { self.write_part().await }
    }

    /// Makes the bytes the object, as a whole.
    pub(crate) async fn complete(mut self) -> io::Result<()> {
        self.upload.complete().await.map(drop).map_err(io::Error::other)
    }

    /// Discards the bytes.
    pub(crate) async fn abort(mut self) {
        if let Err(error) = self.upload.abort().await {
            tracing::warn!(%error, "the parts of a discarded upload were not deleted");
        }
    }

    async fn write_part(&mut self) -> io::Result<()> {
        let part = std::mem::take(&mut self.part);
        self.upload.put_part(PutPayload::from(part)).await.map_err(io::Error::other)
    }
}

fn path(account: AccountId, id: Uuid) -> Path {
    Path::from_iter([account.to_string(), id.to_string()])
}
