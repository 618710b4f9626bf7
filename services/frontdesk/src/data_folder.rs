//! The data folder. It holds chats, addresses and keys: only the user of the process may read it.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::Path,
};

/// Permissions of users other than the owner.
const OTHERS: u32 = 0o077;
/// Permissions of users who are neither the owner nor in the group.
const WORLD: u32 = 0o007;
/// The sticky bit: the folder is shared with other users, as `/tmp` is.
const SHARED: u32 = 0o1000;

/// Lets the files that this process creates be read by its own user only. Call it once, before the first file.
pub fn restrict_new_files() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(OTHERS));
}

/// Creates the folder where it does not exist. A folder that other users can read, with the files of Frontdesk in it, is closed to them;
/// where it belongs to another user, it is refused.
pub fn open(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mode = fs::metadata(folder)?.mode();
    if mode & OTHERS == 0 {
        return Ok(());
    }
    if mode & SHARED != 0 {
        return Err(io::Error::other("it is shared with other users; set data_folder to a folder of its own"));
    }
    if let Err(error) = close(folder, mode) {
        // The group may be that of this process, as in a volume of an orchestrator.
        if mode & WORLD == 0 {
            return Ok(());
        }
        let message =
            format!("every user of this machine can read it, and that cannot be changed ({error}); chmod 700 it");
        return Err(io::Error::other(message));
    }
    tracing::warn!(folder = %folder.display(), "other users could read the data folder until now; it is closed to them");
    close_content(folder, is_own)
}

/// Whether a file of the data folder is one that Frontdesk made: the folder may have others in it.
fn is_own(name: &str) -> bool {
    name.contains(".db")
        || name.starts_with("clock-offset")
        || ["attachments", "development.key", "lock", "mailbox"].contains(&name)
}

/// Takes the permissions of other users away.
fn close(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode & 0o7777 & !OTHERS))
}

fn close_content(folder: &Path, applies: fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_symlink() || !applies(&entry.file_name().to_string_lossy()) {
            continue;
        }
        close(&entry.path(), metadata.mode())?;
        if metadata.is_dir() {
            close_content(&entry.path(), |_| true)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_folder_that_others_can_read_is_closed_with_its_content() {
        let parent = tempfile::tempdir().unwrap();
        let (folder, mails) = (parent.path().join("data"), parent.path().join("data/mailbox"));
        fs::create_dir_all(&mails).unwrap();
        let file = mails.join("1.eml");
        let other = folder.join("other");
        for file in [&file, &other] {
            fs::write(file, "text").unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
        }
        for folder in [&mails, &folder] {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        }
        open(&folder).unwrap();
        assert_eq!([&folder, &mails, &file, &other].map(|path| mode(path)), [0o700, 0o700, 0o600, 0o644]);
    }

    #[test]
    fn a_folder_shared_with_other_users_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), Permissions::from_mode(0o1777)).unwrap();
        assert!(open(parent.path()).unwrap_err().to_string().contains("a folder of its own"));
        let new = parent.path().join("data");
        open(&new).unwrap();
        assert_eq!(mode(&new), 0o700);
    }
}
