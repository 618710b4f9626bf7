//! Settings of the service.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::domain::AttachmentPolicy;

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
    /// Folder of the files. Empty: `attachments` in the data folder. In distributed mode it is required, and all replicas share it.
    pub folder: PathBuf,
    /// Maximum number of files that are uploaded at the same time to one replica.
    pub uploads_at_once: usize,
    /// Maximum number of files that are downloaded at the same time from one replica.
    pub downloads_at_once: usize,
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
            folder: PathBuf::new(),
            uploads_at_once: 200,
            downloads_at_once: 200,
            upload_lifetime: Duration::from_secs(3600),
            link_lifetime: Duration::from_secs(3600),
            keep_unsent: Duration::from_secs(24 * 3600),
        }
    }
}

impl AttachmentSettings {
    /// The folder of the files.
    pub(crate) fn folder_in(&self, data_folder: &Path) -> PathBuf {
        if self.folder.as_os_str().is_empty() { data_folder.join("attachments") } else { self.folder.clone() }
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
