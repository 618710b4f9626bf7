//! The folders that the settings name: they exist, are writable, and have space.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access, statvfs};

use super::Finding;
use crate::{Service, Settings};

/// Permissions of users who are neither the owner nor in the group.
const WORLD: u32 = 0o007;

pub(super) fn check(settings: &Settings, services: &[Service], min_free_bytes: u64) -> Vec<Finding> {
    let folders = folders(settings, services);
    folders.iter().flat_map(|(folder, setting)| check_folder(settings, folder, setting, min_free_bytes)).collect()
}

/// The folders, with the setting that names each.
fn folders(settings: &Settings, services: &[Service]) -> BTreeMap<PathBuf, String> {
    let mut folders = BTreeMap::from([(settings.data_folder.clone(), "data_folder".to_owned())]);
    let attachments = &settings.attachments;
    if !attachments.folder.as_os_str().is_empty() && services.contains(&Service::Conversation) {
        folders.insert(attachments.folder.clone(), "attachments.folder".into());
    }
    for service in services {
        let file = crate::databases::file(settings, *service);
        if let Some(folder) = file.as_deref().and_then(Path::parent) {
            // A file without a folder is in the working directory.
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let setting = format!("databases.{}.url", service.setting());
            folders.entry(folder.to_owned()).or_insert(setting);
        }
    }
    folders
}

fn check_folder(settings: &Settings, folder: &Path, setting: &str, min_free_bytes: u64) -> Vec<Finding> {
    let subject = format!("{setting} = {}", folder.display());
    let metadata = match fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec![Finding::skipped(subject, "it does not exist yet: the first start creates it")];
        }
        Err(error) => return vec![Finding::failure(subject, error.to_string(), "check the path and its permissions")],
    };
    if !metadata.is_dir() {
        return vec![Finding::failure(subject, "it is not a folder", "name a folder")];
    }
    let mut findings = Vec::new();
    if let Err(error) = access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        let remedy = "give the folder to the user of the process; run this as that user";
        findings.push(Finding::failure(&subject, format!("it is not writable: {error}"), remedy));
    }
    if folder == settings.data_folder && metadata.mode() & WORLD != 0 {
        let wrong = "every user of this machine can look into it";
        findings.push(Finding::warning(&subject, wrong, "chmod 700 it; the next start does, where it can"));
    }
    findings.push(check_space(subject, folder, min_free_bytes));
    findings
}

fn check_space(subject: String, folder: &Path, min_free_bytes: u64) -> Finding {
    let space = match statvfs(folder) {
        Ok(space) => space,
        Err(error) => return Finding::skipped(subject, format!("its file system does not say what is free: {error}")),
    };
    // What users other than root may use.
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let text = format!("free bytes of its file system: {free}");
    let remedy = "free space";
    if free < min_free_bytes / 10 {
        Finding::failure(subject, text, remedy)
    } else if space.f_files > 0 && space.f_favail == 0 {
        Finding::failure(subject, "its file system has no room for another file (inodes)", remedy)
    } else if free < min_free_bytes {
        Finding::warning(subject, text, remedy)
    } else {
        Finding::ok(subject, text)
    }
}
