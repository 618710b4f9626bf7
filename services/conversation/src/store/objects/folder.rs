//! What uploads left in a folder.

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{ObjectKey, maybe_left};

/// As [`super::Objects::remove_parts`], by the clock of the file system.
pub(super) fn remove_parts(folder: &Path, ages: &Range<Duration>) -> io::Result<Vec<ObjectKey>> {
    let mut left = Vec::new();
    for account in entries(folder)? {
        for attachment in entries(&account)? {
            let mut objects = Vec::new();
            for file in entries(&attachment)? {
                // A file may be deleted meanwhile.
                let Ok(written) = fs::metadata(&file).and_then(|file| file.modified()) else { continue };
                match key(&account, &attachment, &file) {
                    Some(key) => objects.push((key, written)),
                    // The store writes an object to a file of another name, and renames it.
                    None if written.elapsed().is_ok_and(|age| age >= ages.start) => {
                        fs::remove_file(&file).or_else(unless_missing)?
                    }
                    None => {}
                }
            }
            if objects.is_empty() {
                // Succeeds if it is empty: that of a refused upload.
                let _ = fs::remove_dir(&attachment);
            }
            left.extend(maybe_left(objects, ages));
        }
    }
    Ok(left)
}

/// Deletes a folder with what it contains, if it exists.
pub(super) fn delete(folder: &Path) -> io::Result<()> {
    fs::remove_dir_all(folder).or_else(unless_missing)
}

/// What a folder contains. Nothing, if it is none.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn unless_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn key(account: &Path, attachment: &Path, object: &Path) -> Option<ObjectKey> {
    let id = |path: &Path| path.file_name()?.to_str()?.parse::<Uuid>().ok();
    Some(ObjectKey { account: AccountId(id(account)?), attachment: id(attachment)?, object: id(object)? })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Objects,
            tests::{key, write},
        },
        *,
    };

    #[tokio::test]
    async fn i25_parts_of_uploads_that_ended_with_their_process_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::in_folder(folder.path()).unwrap();
        let (account, attachment) = (key(2, 1).account, key(2, 1).attachment);
        let files = || entries(&folder.path().join(account.to_string()).join(attachment.to_string())).unwrap().len();
        write(&objects, key(2, 1)).await.complete().await.unwrap();
        // As after a kill: its file stays.
        std::mem::forget(write(&objects, key(2, 2)).await);
        assert_eq!(files(), 2);
        assert_eq!(objects.remove_parts().await.unwrap(), []);
        assert_eq!(files(), 2, "it may still be written");
        let (several, any) = (Duration::ZERO..Duration::ZERO, Duration::ZERO..Duration::MAX);
        assert_eq!(remove_parts(folder.path(), &several).unwrap(), []);
        assert_eq!(remove_parts(folder.path(), &any).unwrap(), [key(2, 1)]);
        assert_eq!(files(), 1);
        write(&objects, key(2, 3)).await.complete().await.unwrap();
        assert_eq!(remove_parts(folder.path(), &several).unwrap().len(), 2);
        objects.delete_all(account, attachment).await.unwrap();
        assert_eq!(files(), 0);
    }

    #[tokio::test]
    async fn x2_the_deletion_of_an_attachment_takes_also_what_is_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::in_folder(folder.path()).unwrap();
        let writing = write(&objects, key(2, 3)).await;
        let of_account = folder.path().join(key(2, 3).account.to_string());
        assert_eq!(entries(&of_account).unwrap().len(), 1);
        for _ in 0..2 {
            objects.delete_all(key(2, 3).account, key(2, 3).attachment).await.unwrap();
            assert_eq!(entries(&of_account).unwrap().len(), 0);
        }
        assert!(writing.complete().await.is_err());
        assert_eq!(entries(&of_account).unwrap().len(), 0);
    }
}
