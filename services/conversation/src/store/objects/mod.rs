//! The bytes of attachments, in an object store: `<account>/<attachment>/<object>`. Each upload writes an object of its own, and the
//! attachment's row names the one that is its bytes. The name of a file is no part of it. The store is a folder or a bucket: start
//! reading at [`Objects`].

mod bucket;
mod folder;

use std::{
    fs, io,
    ops::Range,
    path::{Path as FilePath, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use frontdesk_db::AccountId;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    GetOptions, MultipartUpload, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutPayloadMut,
    local::LocalFileSystem, path::Path,
};
use uuid::Uuid;

pub(crate) use bucket::Bucket;

/// How long ago a file was written that no upload writes any more: each ends when its next bytes do not arrive for a while.
const LEFT_AFTER: Duration = Duration::from_secs(3600);

/// The object store. Clones share it.
#[derive(Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    kind: Kind,
}

/// Where the objects are.
#[derive(Clone)]
enum Kind {
    Folder(PathBuf),
    Bucket,
}

impl Kind {
    /// Size of the parts in which bytes are written (bytes). A writer holds one in memory. A bucket takes no smaller ones, except the last.
    fn part_bytes(&self) -> usize {
        match self {
            Self::Folder(_) => 64 * 1024,
            Self::Bucket => 5 * 1024 * 1024,
        }
    }
}

/// Names an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectKey {
    pub(crate) account: AccountId,
    pub(crate) attachment: Uuid,
    pub(crate) object: Uuid,
}

/// Bytes that are being written. They become the object with [`NewObject::complete`]; what was written is deleted when it is dropped before.
pub(crate) struct NewObject {
    pub(crate) key: ObjectKey,
    /// None: it is completed, or discarded.
    upload: Option<Box<dyn MultipartUpload>>,
    part: PutPayloadMut,
    part_bytes: usize,
}

impl Objects {
    /// A folder, which is created where it does not exist. An object that was completed survives a loss of power.
    pub(crate) fn in_folder(folder: &FilePath) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(io::Error::other)?;
        let store = store.with_fsync(true).with_automatic_cleanup(true);
        Ok(Self { store: Arc::new(store), kind: Kind::Folder(folder.to_owned()) })
    }

    /// A bucket, which exists. The error begins with the name of the setting that cannot be used.
    pub(crate) fn in_bucket(bucket: &Bucket) -> Result<Self, String> {
        Ok(Self { store: Arc::new(bucket.open()?), kind: Kind::Bucket })
    }

    /// Begins to write an object.
    pub(crate) async fn create(&self, key: ObjectKey) -> io::Result<NewObject> {
        let upload = self.store.put_multipart_opts(&path(key), PutMultipartOptions::default()).await;
        let part_bytes = self.kind.part_bytes();
        Ok(NewObject { key, upload: Some(upload.map_err(io::Error::other)?), part: new_part(), part_bytes })
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

    /// Deletes all objects of an attachment. In a folder also what uploads are writing: theirs fail then.
    pub(crate) async fn delete_all(&self, account: AccountId, attachment: Uuid) -> io::Result<()> {
        if let Kind::Folder(folder) = &self.kind {
            let folder = folder.join(account.to_string()).join(attachment.to_string());
            return tokio::task::spawn_blocking(move || folder::delete(&folder)).await.map_err(io::Error::other)?;
        }
        let mut objects = self.store.list(Some(&Path::from_iter([account.to_string(), attachment.to_string()])));
        while let Some(object) = objects.next().await {
            self.delete_at(&object.map_err(io::Error::other)?.location).await?;
        }
        Ok(())
    }

    /// Deletes all objects of an account.
    pub(crate) async fn delete_account(&self, account: AccountId) -> io::Result<()> {
        if let Kind::Folder(folder) = &self.kind {
            let folder = folder.join(account.to_string());
            return tokio::task::spawn_blocking(move || folder::delete(&folder)).await.map_err(io::Error::other)?;
        }
        let mut objects = self.store.list(Some(&Path::from(account.to_string())));
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

    /// Interval between two calls of [`Self::remove_parts`]: listing a bucket is a request for each thousand objects.
    pub(crate) fn removal_interval(&self) -> Duration {
        match self.kind {
            Kind::Folder(_) => Duration::from_secs(3600),
            Kind::Bucket => Duration::from_secs(24 * 3600),
        }
    }

    /// Deletes the parts of uploads that ended with their process, and returns the objects that such uploads may have left: those of
    /// attachments that have several, and those written since the removal before. The parts in a bucket are no objects, and are removed
    /// by a rule of the bucket.
    pub(crate) async fn remove_parts(&self) -> io::Result<Vec<ObjectKey>> {
        let ages = LEFT_AFTER..LEFT_AFTER + 2 * self.removal_interval();
        match self.kind.clone() {
            Kind::Folder(folder) => {
                let removing = tokio::task::spawn_blocking(move || folder::remove_parts(&folder, &ages));
                removing.await.map_err(io::Error::other)?
            }
            Kind::Bucket => bucket::list_left(self.store.list(None), &ages).await,
        }
    }
}

/// Those of an attachment's objects that were written at least as long ago as `ages` begins, by the clock of the store; of one that has
/// only one object, if `ages` has its age.
fn maybe_left(objects: Vec<(ObjectKey, SystemTime)>, ages: &Range<Duration>) -> impl Iterator<Item = ObjectKey> {
    let are_several = objects.len() > 1;
    let is_left = move |written: SystemTime| {
        written.elapsed().is_ok_and(|age| age >= ages.start && (are_several || age < ages.end))
    };
    objects.into_iter().filter(move |(_, written)| is_left(*written)).map(|(key, _)| key)
}

impl NewObject {
    /// Adds bytes.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let missing = self.part_bytes - self.part.content_length();
            let (now, later) = bytes.split_at(bytes.len().min(missing));
            self.part.extend_from_slice(now);
            bytes = later;
            if self.part.content_length() == self.part_bytes {
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
        if let Some(upload) = &mut self.upload {
            upload.complete().await.map_err(io::Error::other)?;
        }
        self.upload = None;
        Ok(())
    }

    /// Discards the bytes.
    pub(crate) async fn abort(mut self) {
        if let Some(upload) = self.upload.take() {
            discard(upload).await;
        }
    }

    async fn write_part(&mut self) -> io::Result<()> {
        let part = std::mem::replace(&mut self.part, new_part()).freeze();
        match &mut self.upload {
            Some(upload) => upload.put_part(part).await.map_err(io::Error::other),
            None => Ok(()),
        }
    }
}

impl Drop for NewObject {
    /// Of a client that goes away nothing stays in a bucket.
    fn drop(&mut self) {
        if let (Some(upload), Ok(runtime)) = (self.upload.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(discard(upload));
        }
    }
}

async fn discard(mut upload: Box<dyn MultipartUpload>) {
    if let Err(error) = upload.abort().await {
        tracing::warn!(%error, "the parts of a discarded upload were not deleted");
    }
}

/// An empty part. Its memory grows with its bytes.
fn new_part() -> PutPayloadMut {
    PutPayloadMut::new().with_block_size(64 * 1024)
}

fn path(key: ObjectKey) -> Path {
    Path::from_iter([key.account.to_string(), key.attachment.to_string(), key.object.to_string()])
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    /// Writes bytes that take two parts, in a store of its own.
    pub(super) async fn write(objects: &Objects, key: ObjectKey) -> NewObject {
        let mut new = objects.create(key).await.unwrap();
        new.write(&vec![7; objects.kind.part_bytes() + 1]).await.unwrap();
        new.flush().await.unwrap();
        new
    }

    pub(super) fn key(attachment: u128, object: u128) -> ObjectKey {
        let [account, attachment, object] = [1, attachment, object].map(Uuid::from_u128);
        ObjectKey { account: AccountId(account), attachment, object }
    }

    #[tokio::test]
    async fn i25_an_object_of_several_parts_is_read_as_it_was_written_in_a_folder_and_in_a_bucket() {
        let folder = tempfile::tempdir().unwrap();
        let bucket = Objects { store: Arc::new(InMemory::new()), kind: Kind::Bucket };
        for objects in [Objects::in_folder(folder.path()).unwrap(), bucket] {
            write(&objects, key(2, 3)).await.complete().await.unwrap();
            let read = objects.read(key(2, 3)).await.unwrap().unwrap();
            let bytes: Vec<Bytes> = read.try_collect().await.unwrap();
            assert_eq!(bytes.concat(), vec![7; objects.kind.part_bytes() + 1]);
            write(&objects, key(2, 4)).await.abort().await;
            assert!(objects.read(key(2, 4)).await.unwrap().is_none());
            objects.delete_all(key(2, 3).account, key(2, 3).attachment).await.unwrap();
            assert!(objects.read(key(2, 3)).await.unwrap().is_none());
            write(&objects, key(2, 5)).await.complete().await.unwrap();
            objects.delete_account(key(2, 5).account).await.unwrap();
            assert!(objects.read(key(2, 5)).await.unwrap().is_none());
        }
    }
}
