//! The service under test, and the callers of its accounts.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_db::AccountId;
use frontdesk_notification::{App, NotificationSettings, SmtpSettings, SmtpTls};
use frontdesk_proto::{
    assignment::v1::{Agent, GetAgentRequest, GetAgentResponse},
    conversation::internal::v1::{GetClosingFactsRequest, GetClosingFactsResponse},
    notification::{
        v1::{
            CancelDeliveryRequest, CreateSenderRequest, CreateSenderResponse, Delivery, DeliveryStatus,
            GetDeliveryRequest, ListDeliveriesRequest, ListSendersRequest, ListTranscriptDecisionsRequest,
            RetryDeliveryRequest, Sender, SetFallbackSenderRequest, TranscriptDecision, VerifySenderRequest,
            delivery_service_client::DeliveryServiceClient,
            notification_preference_service_client::NotificationPreferenceServiceClient,
            sender_service_client::SenderServiceClient, suppression_service_client::SuppressionServiceClient,
            template_service_client::TemplateServiceClient, transcript_service_client::TranscriptServiceClient,
        },
        v1beta1::webhook_service_client::WebhookServiceClient,
    },
};
use frontdesk_testkit::{Calls, Mode, ServiceUnderTest, new_id, request_id, wait_for};
use sea_orm::{ConnectionTrait, Statement};
use tonic::{Request, Status};

/// An address that every account uses as its sender.
pub const ADDRESS: &str = "team@acme.example";

/// The service with one account.
pub struct Fixture {
    pub service: ServiceUnderTest,
    pub account: Account,
}

impl Fixture {
    pub async fn start(mode: Mode) -> Self {
        Self::start_with(mode, NotificationSettings::default()).await
    }

    pub async fn start_with(mode: Mode, settings: NotificationSettings) -> Self {
        let service = ServiceUnderTest::start_with::<App>(mode, settings).await;
        service.fake.on(|request: Request<GetAgentRequest>| Ok(agent(&request.get_ref().agent_id, true)));
        // Each conversation's visitor has an address of their own; nothing else is known of it.
        service.fake.on(|request: Request<GetClosingFactsRequest>| {
            let recipient_email = format!("{}@visitor.example", request.get_ref().conversation_id);
            Ok(GetClosingFactsResponse { recipient_email, ..GetClosingFactsResponse::default() })
        });
        let account = Account::new(&service);
        Self { service, account }
    }

    /// Another account of the same service.
    pub fn other_account(&self) -> Account {
        Account::new(&self.service)
    }

    /// Another administrator and another agent of the same account.
    pub fn colleagues(&self) -> Account {
        Account::with_id(&self.service, self.account.id)
    }

    /// From now on every close has stored this address.
    pub fn recipient(&self, recipient_email: &str) {
        let facts = GetClosingFactsResponse { recipient_email: recipient_email.into(), ..Default::default() };
        self.service.fake.on(move |_: Request<GetClosingFactsRequest>| Ok(facts.clone()));
    }

    /// The mails in the account's mailbox folder, by the id of their delivery.
    pub fn mailbox(&self) -> Vec<(String, String)> {
        let folder = self.service.folder.path().join("mailbox").join(self.account.id.to_string());
        let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
        let paths = files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "eml"));
        let mail = |path: std::path::PathBuf| {
            (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap())
        };
        paths.map(mail).collect()
    }

    /// The mail of a delivery in the mailbox folder.
    pub fn mail(&self, delivery: &str) -> String {
        self.mailbox().into_iter().find(|(id, _)| id == delivery).unwrap().1
    }

    /// Adds a sender, verifies it with the code from its mail, and makes it the fallback.
    pub async fn verified_fallback(&self, address: &str) -> Sender {
        let created = self.account.create_sender(address, &request_id()).await.unwrap();
        let sender = created.sender.unwrap();
        let code = self.code(&created.delivery_id).await;
        self.account.verify_sender(&sender.id, &code).await.unwrap();
        self.account.set_fallback(&sender.id).await.unwrap()
    }

    /// Makes [`ADDRESS`] the fallback without a mail to it.
    pub async fn unmailed_fallback(&self) {
        self.execute(&format!(
            "INSERT INTO senders (id, account_id, address, display_name, verified, fallback, code_expires_at, code_tries, \
             created_at, updated_at, version) VALUES ({}, {}, '{ADDRESS}', 'Acme', TRUE, TRUE, 0, 0, 0, 0, 1)",
            self.uuid(&new_id().to_string()),
            self.uuid(&self.account.id.to_string()),
        ))
        .await;
    }

    /// The code in the mail of a delivery.
    pub async fn code(&self, delivery: &str) -> String {
        self.account.wait_for_status(delivery, DeliveryStatus::Sent).await;
        code_in(&self.mail(delivery))
    }

    /// Runs a statement on the service's database.
    pub async fn execute(&self, sql: &str) {
        let db = self.service.db.begin().await.unwrap();
        db.conn().execute_unprepared(sql).await.unwrap();
        db.commit().await.unwrap();
    }

    /// The number that a query on the service's database returns.
    pub async fn count(&self, sql: &str) -> i64 {
        let db = self.service.db.read();
        let statement = Statement::from_string(db.get_database_backend(), format!("SELECT count(*) AS count {sql}"));
        db.query_one_raw(statement).await.unwrap().unwrap().try_get("", "count").unwrap()
    }

    /// Makes the delivery look as if its worker had ended during an attempt: sending, with a claim that ends in 15 seconds.
    pub async fn interrupt(&self, delivery: &str) {
        let claim_end = self.service.db.now().await.unwrap().plus(Duration::from_secs(15)).0;
        self.execute(&format!(
            "UPDATE deliveries SET state = 'SENDING', leased = TRUE, due_at = {claim_end}, claim = claim + 1, \
             attempts = attempts + 1 WHERE id = {}",
            self.uuid(delivery),
        ))
        .await;
    }

    /// A UUID as a literal of the database's SQL.
    pub fn uuid(&self, id: &str) -> String {
        match self.service.db.is_sqlite() {
            true => format!("X'{}'", id.replace('-', "")),
            false => format!("'{id}'"),
        }
    }
}

/// Callers of one account: an administrator and an agent.
#[derive(Clone)]
pub struct Account {
    pub id: AccountId,
    /// Subject of the agent's token.
    pub agent_id: String,
    admin: Calls,
    agent: Calls,
}

impl Account {
    fn new(service: &ServiceUnderTest) -> Self {
        Self::with_id(service, AccountId(new_id()))
    }

    fn with_id(service: &ServiceUnderTest, id: AccountId) -> Self {
        let (admin, agent_id) = (new_id().to_string(), new_id().to_string());
        let calls = |kind, subject| service.calls(id, kind, subject);
        Self { id, admin: calls(CallerKind::Admin, &admin), agent: calls(CallerKind::Agent, &agent_id), agent_id }
    }

    pub fn senders(&self) -> SenderServiceClient<Calls> {
        SenderServiceClient::new(self.admin.clone())
    }

    pub fn templates(&self) -> TemplateServiceClient<Calls> {
        TemplateServiceClient::new(self.admin.clone())
    }

    pub fn suppressions(&self) -> SuppressionServiceClient<Calls> {
        SuppressionServiceClient::new(self.admin.clone())
    }

    pub fn webhooks(&self) -> WebhookServiceClient<Calls> {
        WebhookServiceClient::new(self.admin.clone())
    }

    pub fn deliveries(&self) -> DeliveryServiceClient<Calls> {
        DeliveryServiceClient::new(self.agent.clone())
    }

    pub fn preferences(&self) -> NotificationPreferenceServiceClient<Calls> {
        NotificationPreferenceServiceClient::new(self.agent.clone())
    }

    pub fn transcripts(&self) -> TranscriptServiceClient<Calls> {
        TranscriptServiceClient::new(self.agent.clone())
    }

    pub async fn create_sender(&self, address: &str, request_id: &str) -> Result<CreateSenderResponse, Status> {
        let request =
            CreateSenderRequest { email: address.into(), display_name: "Acme".into(), request_id: request_id.into() };
        Ok(self.senders().create_sender(request).await?.into_inner())
    }

    pub async fn verify_sender(&self, id: &str, code: &str) -> Result<Sender, Status> {
        let request = VerifySenderRequest { sender_id: id.into(), code: code.into() };
        Ok(self.senders().verify_sender(request).await?.into_inner().sender.unwrap())
    }

    pub async fn set_fallback(&self, id: &str) -> Result<Sender, Status> {
        let request = SetFallbackSenderRequest { sender_id: id.into() };
        Ok(self.senders().set_fallback_sender(request).await?.into_inner().sender.unwrap())
    }

    pub async fn list_senders(&self) -> Vec<Sender> {
        self.senders().list_senders(ListSendersRequest::default()).await.unwrap().into_inner().senders
    }

    pub async fn delivery(&self, id: &str) -> Result<Delivery, Status> {
        let request = GetDeliveryRequest { delivery_id: id.into() };
        Ok(self.deliveries().get_delivery(request).await?.into_inner().delivery.unwrap())
    }

    /// All deliveries, newest first.
    pub async fn list_deliveries(&self) -> Vec<Delivery> {
        let request = ListDeliveriesRequest { page_size: 200, ..ListDeliveriesRequest::default() };
        self.deliveries().list_deliveries(request).await.unwrap().into_inner().deliveries
    }

    /// All decisions, newest first.
    pub async fn list_decisions(&self) -> Vec<TranscriptDecision> {
        let request = ListTranscriptDecisionsRequest { page_size: 200, ..ListTranscriptDecisionsRequest::default() };
        self.transcripts().list_transcript_decisions(request).await.unwrap().into_inner().decisions
    }

    pub async fn retry(&self, id: &str) -> Result<Delivery, Status> {
        let request = RetryDeliveryRequest { delivery_id: id.into() };
        Ok(self.deliveries().retry_delivery(request).await?.into_inner().delivery.unwrap())
    }

    pub async fn cancel(&self, id: &str) -> Result<Delivery, Status> {
        let request = CancelDeliveryRequest { delivery_id: id.into() };
        Ok(self.deliveries().cancel_delivery(request).await?.into_inner().delivery.unwrap())
    }

    /// Waits until the delivery has this status.
    pub async fn wait_for_status(&self, id: &str, status: DeliveryStatus) -> Delivery {
        self.wait_for_delivery(id, |delivery| delivery.status() == status).await
    }

    /// Waits until `holds` is true of the delivery.
    pub async fn wait_for_delivery(&self, id: &str, holds: impl Fn(&Delivery) -> bool) -> Delivery {
        wait_for("the status of a delivery", || async { Some(self.delivery(id).await.unwrap()).filter(&holds) }).await
    }
}

/// An agent as the roster answers it.
pub fn agent(id: &str, active: bool) -> GetAgentResponse {
    let deactivate_time = (!active).then(prost_types::Timestamp::default);
    GetAgentResponse { agent: Some(Agent { id: id.into(), deactivate_time, ..Agent::default() }) }
}

/// The line of 8 digits in a mail.
pub fn code_in(mail: &str) -> String {
    let is_code = |line: &&str| line.len() == 8 && line.chars().all(|char| char.is_ascii_digit());
    mail.lines().map(str::trim).find(is_code).unwrap().to_owned()
}

/// A code other than this one.
pub fn other_than(code: &str) -> &'static str {
    if code == "00000000" { "00000001" } else { "00000000" }
}

/// Settings with this mail server and a first pause after a failed attempt.
pub fn smtp(port: u16, retry_pause: Duration) -> NotificationSettings {
    let timeout = Duration::from_secs(2);
    NotificationSettings {
        smtp: SmtpSettings { host: "127.0.0.1".into(), port, tls: SmtpTls::None, timeout, ..SmtpSettings::default() },
        retry_pause,
        ..NotificationSettings::default()
    }
}

/// Runs twenty calls at the same time.
pub async fn twenty_at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    call: impl Fn(usize) -> F,
) -> Vec<T> {
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..20 {
        calls.spawn(call(number));
    }
    calls.join_all().await
}
