//! The bytes of attachments, in an object store: `<account>/<attachment>/<object>`. Each upload writes an object of its own, and the
//! attachment's row names the one that is its bytes. The name of a file is no part of it.

use std::{
    fs, io,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

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
/// How long ago a file was written that no upload writes any more: each ends when its next bytes do not arrive for a while.
const LEFT_AFTER: Duration = Duration::from_secs(3600);

/// The object store. Clones share it.
#[derive(Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    folder: PathBuf,
}

/// Names an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectKey {
    pub(crate) account: AccountId,
    pub(crate) attachment: Uuid,
    pub(crate) object: Uuid,
}

/// Bytes that are being written. They become the object with [`NewObject::complete`].
pub(crate) struct NewObject {
    pub(crate) key: ObjectKey,
    upload: Box<dyn MultipartUpload>,
    part: Vec<u8>,
}

impl Objects {
    /// A folder, which is created where it does not exist. An object that was completed survives a loss of power.
    pub(crate) fn in_folder(folder: &FilePath) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(io::Error::other)?;
        let store = store.with_fsync(true).with_automatic_cleanup(true);
        Ok(Self { store: Arc::new(store), folder: folder.to_owned() })
    }

    /// Begins to write an object.
    pub(crate) async fn create(&self, key: ObjectKey) -> io::Result<NewObject> {
        let upload = self.store.put_multipart_opts(&path(key), PutMultipartOptions::default()).await;
        Ok(NewObject { key, upload: upload.map_err(io::Error::other)?, part: Vec::new() })
    }

    /// The bytes of an object. None: there is no such object.
    pub(crate) async fn read(&self, key: ObjectKey) -> io::Result<Option<BoxStream<'static, io::Result<Bytes>>>> {
        match self.store.get_opts(&path(key), GetOptions::default()).await {
            Ok(found) => Ok(Some(found.into_stream().map_err(io::Error::other).boxed())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Deletes an object, if it exists.
    pub(crate) async fn delete(&self, key: ObjectKey) -> io::Result<()> {
        self.delete_at(&path(key)).await
    }

    /// Deletes all objects of an attachment.
    pub(crate) async fn delete_all(&self, account: AccountId, attachment: Uuid) -> io::Result<()> {
        let mut objects = self.store.list(Some(&Path::from_iter([account.to_string(), attachment.to_string()])));
        while let Some(object) = objects.next().await {
            self.delete_at(&object.map_err(io::Error::other)?.location).await?;
        }
        Ok(())
    }

    async fn delete_at(&self, path: &Path) -> io::Result<()> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Deletes the parts of uploads that ended with their process, and returns the objects of attachments that have several: one of
    /// them is the attachment's, if it has any.
    pub(crate) async fn remove_parts(&self) -> io::Result<Vec<ObjectKey>> {
        let folder = self.folder.clone();
        let removing = tokio::task::spawn_blocking(move || remove_parts(&folder, LEFT_AFTER));
        removing.await.map_err(io::Error::other)?
    }
}

/// As [`Objects::remove_parts`], of files that were last written this long ago, by the clock of the file system.
fn remove_parts(folder: &FilePath, min_age: Duration) -> io::Result<Vec<ObjectKey>> {
    let is_old = |written: &SystemTime| written.elapsed().is_ok_and(|age| age >= min_age);
    let mut several = Vec::new();
    for account in entries(folder)? {
        for attachment in entries(&account)? {
            let mut objects = Vec::new();
            for file in entries(&attachment)? {
                // A file may be deleted meanwhile.
                let Ok(written) = fs::metadata(&file).and_then(|file| file.modified()) else { continue };
                match key(&account, &attachment, &file) {
                    Some(key) => objects.push((key, written)),
                    // The store writes an object to a file of another name, and renames it.
                    None if is_old(&written) => fs::remove_file(&file).or_else(unless_missing)?,
                    None => {}
                }
            }
            if objects.is_empty() {
                // Succeeds if it is empty: that of a refused upload.
                let _ = fs::remove_dir(&attachment);
            }
            if objects.len() > 1 {
                several.extend(objects.into_iter().filter(|(_, written)| is_old(written)).map(|(key, _)| key));
            }
        }
    }
    Ok(several)
}

/// What a folder contains. Nothing, if it is none.
fn entries(folder: &FilePath) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn unless_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn key(account: &FilePath, attachment: &FilePath, object: &FilePath) -> Option<ObjectKey> {
    let id = |path: &FilePath| path.file_name()?.to_str()?.parse::<Uuid>().ok();
    Some(ObjectKey { account: AccountId(id(account)?), attachment: id(attachment)?, object: id(object)? })
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

    /// Writes what is still in memory.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if self.part.is_empty() { Ok(()) } else { self.write_part().await }
    }

    /// Makes the bytes the object, as a whole, and waits until they are on disk.
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

fn path(key: ObjectKey) -> Path {
    Path::from_iter([key.account.to_string(), key.attachment.to_string(), key.object.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn i25_parts_of_uploads_that_ended_with_their_process_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::in_folder(folder.path()).unwrap();
        let (account, attachment) = (AccountId(Uuid::from_u128(1)), Uuid::from_u128(2));
        let object = |number| ObjectKey { account, attachment, object: Uuid::from_u128(number) };
        let write = async |key| {
            let mut new = objects.create(key).await.unwrap();
            new.write(&[7; PART_BYTES + 1]).await.unwrap();
            new.flush().await.unwrap();
            new
        };
        let files = || entries(&folder.path().join(account.to_string()).join(attachment.to_string())).unwrap().len();
        write(object(1)).await.complete().await.unwrap();
        // As after a kill: its file stays.
        std::mem::forget(write(object(2)).await);
        assert_eq!(files(), 2);
        assert_eq!(objects.remove_parts().await.unwrap(), []);
        assert_eq!(files(), 2, "it may still be written");
        assert_eq!(remove_parts(folder.path(), Duration::ZERO).unwrap(), []);
        assert_eq!(files(), 1);
        write(object(3)).await.complete().await.unwrap();
        assert_eq!(remove_parts(folder.path(), Duration::ZERO).unwrap().len(), 2);
        objects.delete_all(account, attachment).await.unwrap();
        assert_eq!(files(), 0);
    }
}
