//! `AddressCodeService`: codes for the conversation service.

use frontdesk_api::{parse_optional_id, validated};
use frontdesk_idempotency::Key;
use frontdesk_proto::notification::internal::v1::{
    AddressCodeOutcome, CheckAddressCodeRequest, CheckAddressCodeResponse, MailAddressCodeRequest,
    MailAddressCodeResponse, address_code_service_server::AddressCodeService,
};
use tonic::{Request, Response, Status};

use super::convert;
use crate::{
    App,
    commands::{self, MailAddressCode},
    domain::CodeOutcome,
    error::NotificationError,
};

/// Serves `AddressCodeService`.
pub(crate) struct AddressCodes(pub(crate) App);

#[tonic::async_trait]
impl AddressCodeService for AddressCodes {
    async fn mail_address_code(
        &self,
        request: Request<MailAddressCodeRequest>,
    ) -> Result<Response<MailAddressCodeResponse>, Status> {
        let (caller, request) = validated(request)?;
        convert::require_account(&caller)?;
        let email = convert::canonical_email(&request.email)?;
        // A repeat by a release that sends less is still a repeat.
        let compared =
            MailAddressCodeRequest { language: String::new(), conversation_id: String::new(), ..request.clone() };
        let key = Key::new(&caller, &request.request_id, &compared);
        let command = MailAddressCode {
            key,
            conversation: parse_optional_id("conversation_id", &request.conversation_id)?,
            email,
            language: request.language,
        };
        let response = match commands::mail_address_code(&self.0, &caller, command).await {
            Ok(()) => MailAddressCodeResponse::default(),
            Err(NotificationError::MailLimit(reached)) => MailAddressCodeResponse {
                retry_after: Some(reached.retry_after.try_into().unwrap_or_default()),
                suppressed: false,
            },
            Err(NotificationError::RecipientSuppressed) => {
                MailAddressCodeResponse { retry_after: None, suppressed: true }
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Response::new(response))
    }

    async fn check_address_code(
        &self,
        request: Request<CheckAddressCodeRequest>,
    ) -> Result<Response<CheckAddressCodeResponse>, Status> {
        let (caller, request) = validated(request)?;
        let email = convert::canonical_email(&request.email)?;
        let outcome = commands::check_address_code(&self.0, &caller, &email, &request.code).await?;
        let (outcome, remaining_attempts) = match outcome {
            CodeOutcome::Right => (AddressCodeOutcome::Right, 0),
            CodeOutcome::Wrong { remaining } => (AddressCodeOutcome::Wrong, remaining),
            CodeOutcome::Expired => (AddressCodeOutcome::Expired, 0),
            CodeOutcome::UsedUp => (AddressCodeOutcome::UsedUp, 0),
        };
        Ok(Response::new(CheckAddressCodeResponse { outcome: outcome.into(), remaining_attempts }))
    }
}
