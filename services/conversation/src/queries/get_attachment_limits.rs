//! What may be attached to messages.

use std::sync::Arc;

use crate::{App, domain::AttachmentPolicy};

/// None: nothing.
pub(crate) fn get_attachment_limits(app: &App) -> Option<Arc<AttachmentPolicy>> {
    app.attachment_links.is_enabled().then(|| app.attachment_policy.clone())
}
