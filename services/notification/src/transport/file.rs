//! A mailbox folder, with one folder for each account, so that access to it can be limited to an account's mails (rule S2),
//! and in it one file for each delivery.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use super::Mail;
use crate::domain::AttemptOutcome;

pub(super) async fn write(mailbox: &Path, mail: Mail) -> AttemptOutcome {
    let folder = mailbox.join(mail.account.to_string());
    let name = format!("{}.eml", mail.delivery);
    let written = tokio::task::spawn_blocking(move || write_atomically(&folder, &mail)).await;
    match written {
        Ok(Ok(())) => AttemptOutcome::Accepted(format!("written to the mailbox folder as {name}")),
        Ok(Err(error)) => AttemptOutcome::TransientFailure(format!("the mailbox folder cannot be written: {error}")),
        Err(error) => AttemptOutcome::TransientFailure(format!("the mailbox folder cannot be written: {error}")),
    }
}

/// Writes to a temporary file, flushes it and renames it, so that the folder only shows complete mails.
fn write_atomically(folder: &Path, mail: &Mail) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let temporary = folder.join(format!(".{}.new", mail.delivery));
    let mut file = File::create(&temporary)?;
    file.write_all(&mail.bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(format!("{}.eml", mail.delivery)))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use frontdesk_db::AccountId;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn s2_a_mail_written_twice_is_one_file_in_its_accounts_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = folder.path().join("mailbox");
        let mail = Mail {
            account: AccountId(Uuid::from_u128(1)),
            delivery: Uuid::from_u128(2),
            from: "a@b.test".into(),
            to: "c@d.test".into(),
            bytes: b"Hi\r\n".to_vec(),
        };
        for _ in 0..2 {
            assert!(matches!(write(&mailbox, mail.clone()).await, AttemptOutcome::Accepted(_)));
        }
        let folder = mailbox.join(mail.account.to_string());
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files, [folder.join(format!("{}.eml", mail.delivery))]);
        assert_eq!(fs::read(&files[0]).unwrap(), b"Hi\r\n");
    }

    #[tokio::test]
    async fn t8_a_folder_that_cannot_be_written_is_a_transient_failure() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mailbox");
        fs::write(&file, "a file where the folder should be").unwrap();
        let mail = Mail {
            account: AccountId(Uuid::from_u128(1)),
            delivery: Uuid::from_u128(2),
            from: String::new(),
            to: String::new(),
            bytes: Vec::new(),
        };
        assert!(matches!(write(&file, mail).await, AttemptOutcome::TransientFailure(_)));
    }
}
