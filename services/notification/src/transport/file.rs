//! A mailbox folder: in it a folder for each account, so that whoever reads one sees its mails only (rule S2), with one file
//! per delivery.

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
    let written = tokio::task::spawn_blocking(move || write_whole(&folder, &mail)).await;
    match written {
        Ok(Ok(())) => AttemptOutcome::Accepted(format!("written to the mailbox folder as {name}")),
        Ok(Err(error)) => AttemptOutcome::MayPass(format!("the mailbox folder cannot be written: {error}")),
        Err(error) => AttemptOutcome::MayPass(format!("the mailbox folder cannot be written: {error}")),
    }
}

/// Written beside, flushed, renamed: the folder only ever shows whole mails, and one of them per delivery.
fn write_whole(folder: &Path, mail: &Mail) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let beside = folder.join(format!(".{}.new", mail.delivery));
    let mut file = File::create(&beside)?;
    file.write_all(&mail.bytes)?;
    file.sync_all()?;
    fs::rename(&beside, folder.join(format!("{}.eml", mail.delivery)))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use frontdesk_db::AccountId;

    use super::*;

    #[tokio::test]
    async fn s2_a_mail_written_twice_is_one_file_in_its_accounts_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mailbox = folder.path().join("mailbox");
        let mail = Mail {
            account: AccountId(frontdesk_clock::testing::new_id()),
            delivery: frontdesk_clock::testing::new_id(),
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
    async fn a_folder_that_cannot_be_written_may_pass() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mailbox");
        fs::write(&file, "a file where the folder should be").unwrap();
        let mail = Mail {
            account: AccountId(frontdesk_clock::testing::new_id()),
            delivery: frontdesk_clock::testing::new_id(),
            from: String::new(),
            to: String::new(),
            bytes: Vec::new(),
        };
        assert!(matches!(write(&file, mail).await, AttemptOutcome::MayPass(_)));
    }
}
