//! Settings of the service.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use frontdesk_settings::Secret;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{AttachmentPolicy, StorageLimits},
    store::objects::{Bucket, Objects},
};

/// Settings of the service.
#[derive(Clone, Debug, Default)]
pub struct ConversationSettings {
    /// Attachments of messages.
    pub attachments: AttachmentSettings,
    /// Where browsers reach the listener for them, such as `https://chat.example`. Empty: nothing can be attached.
    pub public_url: String,
}

/// Attachments of messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttachmentSettings {
    /// Media types of the files that can be attached, as their bytes are found to be.
    #[serde(deserialize_with = "frontdesk_settings::list::deserialize")]
    pub media_types: Vec<String>,
    /// Maximum size of a file (bytes).
    pub max_bytes: i32,
    /// Maximum number of bytes that a visitor uploads for one chat, sent or not. 0: any number.
    pub max_bytes_per_chat: u64,
    /// Maximum number of bytes that the attachments of an account have, of its visitors and its team. 0: any number.
    pub max_bytes_per_account: u64,
    /// Folder of the files, if they are in no bucket. Empty: `attachments` in the data folder. In distributed mode it is required, and all
    /// replicas share it.
    pub folder: PathBuf,
    /// The bucket of the files. Without a name, they are in the folder.
    pub s3: S3Settings,
    /// Maximum number of files that are uploaded at the same time to one replica.
    pub uploads_at_once: usize,
    /// Maximum number of files that are downloaded at the same time from one replica.
    pub downloads_at_once: usize,
    /// How long an upload or a download beyond these numbers waits, before it is refused.
    #[serde(with = "frontdesk_settings::duration")]
    pub transfer_wait: Duration,
    /// How long after its creation the bytes of an attachment can be uploaded.
    #[serde(with = "frontdesk_settings::duration")]
    pub upload_lifetime: Duration,
    /// How long a link to the bytes can be opened.
    #[serde(with = "frontdesk_settings::duration")]
    pub link_lifetime: Duration,
    /// How long an attachment that was uploaded for a conversation and not sent is kept, and one that was refused.
    #[serde(with = "frontdesk_settings::duration")]
    pub keep_unsent: Duration,
}

impl Default for AttachmentSettings {
    fn default() -> Self {
        let media_types = [
            "image/png",
            "image/jpeg",
            "image/gif",
            "image/webp",
            "image/heif",
            "application/pdf",
            "text/plain",
            "text/csv",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "application/vnd.oasis.opendocument.text",
            "application/vnd.oasis.opendocument.spreadsheet",
            "application/zip",
            "audio/mpeg",
            "audio/m4a",
            "audio/ogg",
            "video/mp4",
            "video/quicktime",
            "video/webm",
        ];
        Self {
            media_types: media_types.map(str::to_owned).to_vec(),
            max_bytes: 25 * 1024 * 1024,
            max_bytes_per_chat: 1 << 30,
            max_bytes_per_account: 1 << 40,
            folder: PathBuf::new(),
            s3: S3Settings::default(),
            uploads_at_once: 200,
            downloads_at_once: 200,
            transfer_wait: Duration::from_secs(5),
            upload_lifetime: Duration::from_secs(3600),
            link_lifetime: Duration::from_secs(3600),
            keep_unsent: Duration::from_secs(24 * 3600),
        }
    }
}

impl AttachmentSettings {
    /// Whether the replicas share the files.
    pub fn are_shared(&self) -> bool {
        self.has_folder() || !self.s3.bucket.is_empty()
    }

    fn has_folder(&self) -> bool {
        !self.folder.as_os_str().is_empty()
    }

    /// Where the files are. The error begins with the name of the setting that cannot be used.
    pub(crate) fn objects(&self, data_folder: &Path) -> Result<Objects, String> {
        if !self.s3.bucket.is_empty() {
            if self.has_folder() {
                return Err("attachments.folder and attachments.s3.bucket are both set; set one of them".into());
            }
            return Objects::in_bucket(&self.s3.bucket()).map_err(|error| format!("attachments.s3: {error}"));
        }
        let folder = if self.has_folder() { self.folder.clone() } else { data_folder.join("attachments") };
        Objects::in_folder(&folder).map_err(|error| format!("attachments.folder {}: {error}", folder.display()))
    }

    /// How many bytes may be stored.
    pub(crate) fn storage_limits(&self) -> StorageLimits {
        let limit = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        StorageLimits { per_chat: limit(self.max_bytes_per_chat), per_account: limit(self.max_bytes_per_account) }
    }

    /// What may be attached.
    pub(crate) fn policy(&self) -> AttachmentPolicy {
        AttachmentPolicy {
            media_types: self.media_types.clone(),
            max_size: self.max_bytes.into(),
            keep_unsent: self.keep_unsent,
        }
    }
}

/// A bucket of an S3-compatible object store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3Settings {
    /// Its name. Empty: the files are in a folder.
    pub bucket: String,
    /// Address of the server, such as `https://s3.example:9000`, or http on this machine. Empty: that of Amazon in the region.
    pub endpoint: String,
    /// The region, such as `eu-central-1`. Servers without regions take any.
    pub region: String,
    /// Id of the key that requests are signed with.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: Secret,
    /// A PEM file with certificate authorities to trust besides the system's. Empty: none.
    pub ca_path: String,
}

impl Default for S3Settings {
    fn default() -> Self {
        Self {
            bucket: String::new(),
            endpoint: String::new(),
            region: "us-east-1".into(),
            access_key_id: String::new(),
            secret_access_key: Secret::default(),
            ca_path: String::new(),
        }
    }
}

impl S3Settings {
    fn bucket(&self) -> Bucket {
        Bucket {
            name: self.bucket.clone(),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            ca_path: self.ca_path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_bucket_together_are_refused() {
        let mut settings = AttachmentSettings { folder: "files".into(), ..AttachmentSettings::default() };
        settings.s3.bucket = "files".into();
        let refused = settings.objects(Path::new("data")).map(drop).unwrap_err();
        assert!(refused.starts_with("attachments.folder and attachments.s3.bucket"), "{refused}");
    }
}
