//! Chat 1: from the greeting to the mailbox.

use frontdesk_auth::CallerKind;
use frontdesk_clock::testing::new_id;
use frontdesk_proto::{
    actor::v1::ActorKind,
    assignment::v1::{TakeOverConversationRequest, assignment_service_client::AssignmentServiceClient},
    conversation::v1::{
        CloseConversationRequest, Entry, GetConversationRequest, ListEntriesRequest, PostCommentRequest,
        PostMessageRequest, SendMessageRequest, StartChatRequest,
        conversation_service_client::ConversationServiceClient, entry::Content,
        thread_service_client::ThreadServiceClient, visitor_service_client::VisitorServiceClient,
    },
    notification::v1::{
        DeliveryStatus, ExplainTranscriptRequest, ExplainTranscriptResponse,
        transcript_service_client::TranscriptServiceClient,
    },
};
use tonic::Code;

use super::{
    check,
    clients::{Account, Client, Fixture, Widget, author_name, request_id, text_of},
    step, wait_for,
};
use crate::Failure;

const SECRET: &str = "He sounds upset. Careful with the price.";

pub(super) async fn play(account: &Account, fixture: &Fixture) -> Result<(), Failure> {
    let visitor = account.call_as(CallerKind::Visitor, &format!("visitor-{}", new_id()), "")?;
    let address = format!("mario-{}@visitor.example", new_id().simple());
    let mut chat = VisitorServiceClient::new(visitor.clone());
    let started = StartChatRequest {
        channel_id: fixture.channel_id.clone(),
        page_url: "https://bicycles.example/repairs?from=home".into(),
        page_title: "Repairs – Rossi Bicycles".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let chat_id = chat.start_chat(started).await?.into_inner().chat.ok_or("no chat")?.id;
    step("visitor", "opened the widget on the page 'Repairs'");
    let mut widget = Widget::watch(&visitor, &chat_id).await?;
    widget.until("the bot's question", |line| text_of(line).contains("Which address")).await?;

    let says = |text: &str| SendMessageRequest {
        chat_id: chat_id.clone(),
        text: text.to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    chat.send_message(says(&address)).await?;
    widget.until("the bot's buttons", |line| text_of(line).contains("What is it about")).await?;
    chat.send_message(says("I would rather talk to a person.\nMy brakes squeal & <b>howl</b>.")).await?;
    widget
        .until("the bot's buttons again", |line| text_of(line).contains("buttons") || !text_of(line).contains("howl"))
        .await?;

    take_over(fixture, &chat_id).await?;
    widget.until("Ada to join", |line| author_name(line) == "Ada Byron").await?;
    let mut threads = ThreadServiceClient::new(fixture.agent.clone());
    let comment = PostCommentRequest {
        conversation_id: chat_id.clone(),
        text: SECRET.into(),
        request_id: request_id(),
        ..Default::default()
    };
    threads.post_comment(comment).await?;
    step("agent", format!("comments, for the team only: {SECRET}"));
    let reply = PostMessageRequest {
        conversation_id: chat_id.clone(),
        text: "Hello, this is Ada. Bring it in tomorrow, we will look at the pads.".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let first = threads.post_message(reply.clone()).await?.into_inner().entry.ok_or("no entry")?;
    let again = threads.post_message(reply).await?.into_inner().entry.ok_or("no entry")?;
    check("C12", "the same request sent twice posts once", first.sequence == again.sequence)?;
    widget.until("Ada's reply", |line| text_of(line).contains("this is Ada")).await?;
    chat.send_message(says("Thank you, see you tomorrow!")).await?;

    let close = CloseConversationRequest { conversation_id: chat_id.clone(), ..Default::default() };
    ConversationServiceClient::new(fixture.agent.clone()).close_conversation(close).await?;
    widget
        .until("the end", |line| {
            matches!(line.content, Some(frontdesk_proto::conversation::v1::chat_entry::Content::Ended(_)))
        })
        .await?;
    check("C3", "what the visitor saw is numbered without a gap", widget.is_dense())?;
    let late = chat.send_message(says("One more thing")).await.err().map(|status| status.code());
    check("E3", "a message after the end is refused", late == Some(Code::FailedPrecondition))?;

    show_thread(&fixture.agent, &chat_id).await?;
    mailed(account, fixture, &chat_id, &address).await
}

async fn take_over(fixture: &Fixture, chat_id: &str) -> Result<(), Failure> {
    let conversation = GetConversationRequest { conversation_id: chat_id.to_owned() };
    let conversation = ConversationServiceClient::new(fixture.agent.clone()).get_conversation(conversation).await?;
    let conversation = conversation.into_inner().conversation.ok_or("no conversation")?;
    let too_early = PostMessageRequest {
        conversation_id: chat_id.to_owned(),
        text: "Hello".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let refused = ThreadServiceClient::new(fixture.agent.clone()).post_message(too_early).await.err();
    let refused = refused.is_some_and(|status| frontdesk_api::has_reason(&status, "BOT_IN_CHARGE"));
    check("C11", "while a bot is in charge an agent's message is refused", refused)?;
    let take = TakeOverConversationRequest {
        conversation_id: chat_id.to_owned(),
        expected_epoch: conversation.epoch,
        request_id: request_id(),
    };
    let taken = AssignmentServiceClient::new(fixture.agent.clone()).take_over_conversation(take).await?.into_inner();
    let owner = taken.assignment.and_then(|assignment| assignment.owner).ok_or("no owner")?;
    step("agent", "takes the conversation over from the bot");
    check("A1", "the agent owns it now", owner.id == fixture.agent_id)
}

async fn mailed(account: &Account, fixture: &Fixture, chat_id: &str, address: &str) -> Result<(), Failure> {
    let explained = wait_for("the transcript to be sent", || async {
        let explained = explain(&fixture.agent, chat_id).await?;
        let status =
            explained.as_ref().and_then(|explained| explained.delivery.as_ref()).map(|delivery| delivery.status());
        Ok(explained.filter(|_| status == Some(DeliveryStatus::Sent)))
    })
    .await?;
    let decision = explained.decision.ok_or("no decision")?;
    step("decision", &decision.explanation);
    check("T3", "the close has one decision, to send", decision.send && decision.close_number == 1)?;

    let mails = account.mails(address).await?;
    check("T1", "one mail is in the visitor's mailbox", mails.len() == 1)?;
    let mail = mails.into_iter().next().ok_or("no mail")?;
    step("mail", &mail.path);
    let parsed = mail_parser::MessageParser::default().parse(&mail.content).ok_or("the mail cannot be parsed")?;
    let (text, html) = (parsed.body_text(0).unwrap_or_default(), parsed.body_html(0).unwrap_or_default());
    step("mail", format!("subject: {}", parsed.subject().unwrap_or_default()));
    let complete = ["Robin", "Ada Byron", "see you tomorrow", "https://bicycles.example/repairs?from=home"];
    check(
        "T6",
        "it holds the conversation, its authors and the page",
        complete.iter().all(|part| text.contains(part)),
    )?;
    check(
        "T7",
        "what the visitor wrote is text, not markup",
        html.contains("&lt;b&gt;howl") && !html.contains("<b>howl"),
    )?;
    check(
        "C7",
        "the comment is not in it",
        !String::from_utf8_lossy(&mail.content).contains("upset") && !text.contains(SECRET) && !html.contains(SECRET),
    )
}

/// The decision of the last close; None: it was not made yet.
pub(super) async fn explain(agent: &Client, chat_id: &str) -> Result<Option<ExplainTranscriptResponse>, Failure> {
    let request = ExplainTranscriptRequest { conversation_id: chat_id.to_owned(), ..Default::default() };
    match TranscriptServiceClient::new(agent.clone()).explain_transcript(request).await {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status.into()),
    }
}

pub(super) async fn show_thread(agent: &Client, chat_id: &str) -> Result<Vec<Entry>, Failure> {
    let request = ListEntriesRequest { conversation_id: chat_id.to_owned(), ..Default::default() };
    let entries = ThreadServiceClient::new(agent.clone()).list_entries(request).await?.into_inner().entries;
    println!("\n           The thread, as the team sees it:");
    for entry in &entries {
        let author = entry.author.clone().unwrap_or_default();
        let who = match author.kind() {
            ActorKind::Visitor => "visitor".to_owned(),
            ActorKind::System => "system".to_owned(),
            _ => author.name,
        };
        let what = match &entry.content {
            Some(Content::Message(message)) => message.text.replace('\n', " / "),
            Some(Content::Comment(comment)) => format!("[comment] {}", comment.text),
            Some(Content::AssigneeChanged(changed)) => {
                let to = changed.new_owner.as_ref().map_or("the team", |owner| owner.name.as_str());
                format!("[assigned to {to}, epoch {}]", changed.epoch)
            }
            Some(Content::HandedOff(handed)) => format!("[handed off: {}]", handed.reason),
            Some(Content::Closed(closed)) => {
                format!("[closed: {}]", closed.reason().as_str_name().trim_start_matches("CLOSE_REASON_"))
            }
            Some(Content::ContactLinked(_)) => "[the visitor's contact is known]".to_owned(),
            Some(Content::VisitorSignedIn(_)) => "[the visitor signed in]".to_owned(),
            Some(_) | None => "[…]".to_owned(),
        };
        println!("           {:>3}  {who}: {what}", entry.sequence);
    }
    println!();
    let dense = (1..).zip(&entries).all(|(number, entry)| entry.sequence == number);
    check("C3", "the thread is numbered without a gap", dense)?;
    Ok(entries)
}
