//! `AnswerTurn` and `ListTurnEntries`: rules A3, B7, C12.

use std::{collections::HashMap, sync::Mutex};

use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::ActorKind,
    botsession::v1::{
        Bot, BotSessionStatus, ListTurnEntriesRequest, ListTurnEntriesResponse, Turn, TurnClose, TurnHandOff,
        TurnProperty, turn_part::Part,
    },
    conversation::{
        internal::v1::{PostBotMessageRequest, PostBotMessageResponse, RecordAnswerRequest, RecordAnswerResponse},
        v1::{Entry, Message},
    },
    event::v1::AssigneeChanged,
};
use frontdesk_testkit::{Mode, metadata, new_id, on_both_modes, reason};
use futures::future::join_all;
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::{
    engines::{answer, answer_to, hand_offs, next_turn, part, patient_bot, say, watch},
    fixture::{ADA, Chat, Fixture, GONE, new_account},
};

on_both_modes!(
    b7_an_answer_in_parts_takes_effect_part_by_part,
    c12_a_repeated_answer_takes_effect_once_also_after_a_lost_response,
    c12_twenty_repeats_at_once_take_effect_once,
    a3_a_turn_is_over_after_a_takeover,
    b8_a_hand_off_or_a_close_ends_the_session,
    b7_a_part_that_the_conversation_rejects_is_named_and_the_turn_goes_on,
    b7_an_engine_reads_what_the_visitor_sees,
    s2_a_turn_of_another_bot_or_account_is_unknown,
);

/// A chat, and its first turn, leased to a stream that has ended.
async fn first_turn(fixture: &Fixture) -> (AccountId, Bot, Chat, Turn) {
    let (here, bot) = patient_bot(fixture).await;
    let chat = fixture.start_chat(here, &bot, None).await;
    let turn = next_turn(&mut watch(fixture, here, &bot, 5).await).await;
    (here, bot, chat, turn)
}

async fn entries(
    fixture: &Fixture,
    account: AccountId,
    bot: &Bot,
    turn: &Turn,
    after_sequence: i32,
) -> Result<ListTurnEntriesResponse, Status> {
    let request = ListTurnEntriesRequest { turn_id: turn.id.clone(), after_sequence, page_size: 0 };
    Ok(fixture.engine(account, &bot.id).list_turn_entries(request).await?.into_inner())
}

async fn b7_an_answer_in_parts_takes_effect_part_by_part(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot, chat, turn) = first_turn(&fixture).await;
    for (text, said) in [("one", 1), ("two", 2)] {
        let deadline = answer(&fixture, here, &bot, answer_to(&turn, vec![say(text)], false)).await.unwrap();
        assert!(deadline.is_some());
        assert_eq!(fixture.said(&chat).len(), said);
    }
    let name = Part::SetProperty(TurnProperty { property: "name".into(), value: "Ann".into() });
    let last = answer_to(&turn, vec![part(name), say("three")], true);
    assert_eq!(answer(&fixture, here, &bot, last).await.unwrap(), None);
    assert_eq!(fixture.said(&chat), ["one", "two", "three"]);
    let answers = fixture.conversations.with(chat.conversation, |row| row.answers.clone());
    assert_eq!(answers, [("name".to_owned(), "Ann".to_owned())]);
}

async fn c12_a_repeated_answer_takes_effect_once_also_after_a_lost_response(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot, chat, turn) = first_turn(&fixture).await;
    let (conversations, posted) = (fixture.conversations.clone(), Mutex::new(HashMap::<String, i32>::new()));
    fixture.fake.on(move |request: Request<PostBotMessageRequest>| {
        let request = request.into_inner();
        let mut posted = posted.lock().unwrap();
        if let Some(sequence) = posted.get(&request.request_id) {
            let entry = Entry { sequence: *sequence, ..Entry::default() };
            return Ok(PostBotMessageResponse { entry: Some(entry) });
        }
        let id: Uuid = request.conversation_id.parse().unwrap();
        let message = Message { text: request.text, ..Message::default() };
        posted.insert(request.request_id, conversations.with(id, |row| row.append(ActorKind::Bot, message)));
        Err(Status::internal("the response was lost"))
    });
    let request = answer_to(&turn, vec![say("hi"), say("there")], true);
    for _ in 0..2 {
        let refused = answer(&fixture, here, &bot, request.clone()).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "CONVERSATION_UNAVAILABLE"));
    }
    for _ in 0..2 {
        assert_eq!(answer(&fixture, here, &bot, request.clone()).await.unwrap(), None);
    }
    assert_eq!(fixture.said(&chat), ["hi", "there"]);
    let mut other = request;
    other.parts = vec![say("other")];
    let reused = answer(&fixture, here, &bot, other).await.unwrap_err();
    assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
}

async fn c12_twenty_repeats_at_once_take_effect_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot, chat, turn) = first_turn(&fixture).await;
    let request = answer_to(&turn, vec![say("hi")], true);
    let answers = join_all((0..20).map(|_| answer(&fixture, here, &bot, request.clone()))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(Option::is_none)), "{answers:?}");
    assert_eq!(fixture.said(&chat), ["hi"]);
}

async fn a3_a_turn_is_over_after_a_takeover(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot, chat, turn) = first_turn(&fixture).await;
    fixture.conversations.with(chat.conversation, |row| row.release());
    // The answer arrives before the event of the takeover.
    let refused = answer(&fixture, here, &bot, answer_to(&turn, vec![say("hi")], true)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "TURN_OVER"));
    let taken_over = AssigneeChanged {
        conversation_id: chat.conversation.to_string(),
        epoch: 2,
        ended_bot_session_id: chat.session.to_string(),
        ..AssigneeChanged::default()
    };
    fixture.publish(here, &taken_over).await;
    fixture.settled().await;
    assert_eq!(fixture.session(&chat).await.unwrap().status(), BotSessionStatus::TakenOver);
    let refused = answer(&fixture, here, &bot, answer_to(&turn, vec![say("hi")], true)).await.unwrap_err();
    assert_eq!(reason(&refused), "TURN_OVER");
    let refused = entries(&fixture, here, &bot, &turn, 0).await.unwrap_err();
    assert_eq!(reason(&refused), "TURN_OVER");
    assert!(fixture.said(&chat).is_empty());
}

async fn b8_a_hand_off_or_a_close_ends_the_session(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot, chat, turn) = first_turn(&fixture).await;
    let hand_off = |agent: Uuid| {
        let (reason, agent_id) = ("asked for people".into(), agent.to_string());
        part(Part::HandOff(TurnHandOff { reason, agent_id, ..TurnHandOff::default() }))
    };
    let to_gone = answer_to(&turn, vec![say("wait"), hand_off(GONE)], true);
    let refused = answer(&fixture, here, &bot, to_gone).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "AGENT_NOT_ACTIVE"));
    assert!(refused.message().contains("parts[1].hand_off.agent_id"), "{refused:?}");
    let to_nobody = TurnHandOff { team_id: new_id().to_string(), ..TurnHandOff::default() };
    let to_nobody = answer_to(&turn, vec![part(Part::HandOff(to_nobody))], true);
    let refused = answer(&fixture, here, &bot, to_nobody).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "REFERENCE_UNKNOWN"));
    assert!(refused.message().contains("parts[0].hand_off.team_id"), "{refused:?}");
    let to_ada = answer_to(&turn, vec![say("wait"), hand_off(ADA)], false);
    assert_eq!(answer(&fixture, here, &bot, to_ada).await.unwrap(), None);
    assert_eq!(hand_offs(&fixture, &chat), ["asked for people"]);
    assert_eq!(fixture.said(&chat), ["wait"]);

    let (here, bot, chat, turn) = first_turn(&fixture).await;
    let close = || part(Part::Close(TurnClose {}));
    let refused = answer(&fixture, here, &bot, answer_to(&turn, vec![close(), say("bye")], true)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(answer(&fixture, here, &bot, answer_to(&turn, vec![say("bye"), close()], true)).await.unwrap(), None);
    assert_eq!(fixture.conversations.with(chat.conversation, |row| row.closes), 1);
}

async fn b7_a_part_that_the_conversation_rejects_is_named_and_the_turn_goes_on(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot, chat, turn) = first_turn(&fixture).await;
    fixture
        .fake
        .on(|_: Request<RecordAnswerRequest>| Err::<RecordAnswerResponse, _>(Status::invalid_argument("no address")));
    let email = Part::SetProperty(TurnProperty { property: "email".into(), value: "nowhere".into() });
    let request = answer_to(&turn, vec![say("thanks"), part(email), say("next")], true);
    let refused = answer(&fixture, here, &bot, request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "PART_REJECTED"));
    assert!(refused.message().starts_with("parts[1]: "), "{refused:?}");
    answer(&fixture, here, &bot, answer_to(&turn, vec![say("your address?")], true)).await.unwrap();
    assert_eq!(fixture.said(&chat), ["thanks", "your address?"]);
}

async fn b7_an_engine_reads_what_the_visitor_sees(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot, chat, turn) = first_turn(&fixture).await;
    fixture.append(&chat, "hello", "");
    // A comment of the team.
    fixture.conversations.with(chat.conversation, |row| row.entries.push(Entry { sequence: 2, ..Entry::default() }));
    let page = entries(&fixture, here, &bot, &turn, 0).await.unwrap();
    assert_eq!((page.entries.len(), page.has_more, page.last_sequence), (1, false, 2));
    assert!(entries(&fixture, here, &bot, &turn, 1).await.unwrap().entries.is_empty());
    let refused = entries(&fixture, here, &bot, &turn, 3).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::OutOfRange, "CURSOR_OUT_OF_RANGE"));
    assert_eq!(metadata(&refused, "last_sequence"), "2");
}

async fn s2_a_turn_of_another_bot_or_account_is_unknown(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (here, bot, chat, turn) = first_turn(&fixture).await;
    let other = fixture.create_engine(here, crate::engines::engine(600, 600)).await;
    let absent = Turn { id: new_id().to_string(), ..turn.clone() };
    for (account, bot, turn) in [(here, &other, &turn), (new_account(), &bot, &turn), (here, &bot, &absent)] {
        let refused = answer(&fixture, account, bot, answer_to(turn, vec![say("hi")], true)).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
        assert_eq!(entries(&fixture, account, bot, turn, 0).await.unwrap_err().code(), Code::NotFound);
    }
    assert!(fixture.said(&chat).is_empty());
}
