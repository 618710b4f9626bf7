use std::collections::HashSet;

use frontdesk_proto::botsession::v1::{
    CreateBotRequest, DeleteBotRequest, Flow, GetBotRequest, ListBotsRequest, SayStep, Step, UpdateBotRequest,
    ValidateFlowRequest,
};
use tokio::task::JoinSet;
use tonic::Code;

use crate::suite::{Suite, account, new_bot, reason};

fn say(id: &str, next: &str) -> Step {
    let (id, next_step_id) = (id.into(), next.into());
    Step { id, next_step_id, say: Some(SayStep { text: "hi".into() }), ..Step::default() }
}

fn sound() -> Flow {
    Flow { steps: vec![say("hi", "")] }
}

fn unsound() -> Flow {
    Flow { steps: vec![say("a", ""), say("a", "nowhere")] }
}

#[tokio::test]
async fn c12_twenty_creations_with_one_request_id_make_one_bot() {
    let suite = Suite::start().await;
    let here = account();
    let mut creations = JoinSet::new();
    for _ in 0..20 {
        let mut bots = suite.bots(here);
        creations.spawn(async move { bots.create_bot(new_bot(sound(), "once")).await });
    }
    let answers = creations.join_all().await;
    let ids: HashSet<String> = answers.into_iter().map(|answer| answer.unwrap().into_inner().bot.unwrap().id).collect();
    assert_eq!(ids.len(), 1);
    let other = CreateBotRequest { name: "Other".into(), ..new_bot(sound(), "once") };
    assert_eq!(reason(&suite.bots(here).create_bot(other).await.unwrap_err()), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn b2_a_bot_has_thirty_minutes_unless_set_or_switched_off_but_not_both() {
    let suite = Suite::start().await;
    let here = account();
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let bot = suite.bot(here, sound()).await;
    assert_eq!(bot.inactivity_timeout, seconds(1800));
    let off = UpdateBotRequest { bot_id: bot.id.clone(), inactivity_timeout_off: true, ..UpdateBotRequest::default() };
    let bot = suite.bots(here).update_bot(off.clone()).await.unwrap().into_inner().bot.unwrap();
    assert_eq!(bot.inactivity_timeout, None);
    let both = UpdateBotRequest { inactivity_timeout: seconds(60), ..off.clone() };
    let refused = suite.bots(here).update_bot(both).await.unwrap_err();
    assert!(refused.code() == Code::InvalidArgument && refused.message().contains("inactivity_timeout_off"));
    for wrong in [59, 86_401] {
        let wrong =
            UpdateBotRequest { inactivity_timeout: seconds(wrong), inactivity_timeout_off: false, ..off.clone() };
        assert_eq!(suite.bots(here).update_bot(wrong).await.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn b6_an_unsound_flow_is_refused_with_all_its_problems_and_validation_answers_them() {
    let suite = Suite::start().await;
    let here = account();
    let refused = suite.bots(here).create_bot(new_bot(unsound(), "1")).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let answer =
        suite.bots(here).validate_flow(ValidateFlowRequest { flow: Some(unsound()) }).await.unwrap().into_inner();
    assert!(answer.problems.len() >= 2);
    for problem in answer.problems {
        assert!(refused.message().contains(&problem.field), "{} in {}", problem.field, refused.message());
    }
}

#[tokio::test]
async fn s2_another_account_finds_no_bot_and_a_deleted_one_is_not_listed() {
    let suite = Suite::start().await;
    let (here, there) = (account(), account());
    let bot = suite.bot(here, sound()).await;
    let get = GetBotRequest { bot_id: bot.id.clone() };
    assert_eq!(suite.bots(there).get_bot(get.clone()).await.unwrap_err().code(), Code::NotFound);
    let delete = DeleteBotRequest { bot_id: bot.id.clone() };
    assert_eq!(suite.bots(there).delete_bot(delete.clone()).await.unwrap_err().code(), Code::NotFound);
    let update = UpdateBotRequest { bot_id: bot.id, name: Some("Eve".into()), ..UpdateBotRequest::default() };
    assert_eq!(suite.bots(there).update_bot(update.clone()).await.unwrap_err().code(), Code::NotFound);

    let renamed = suite.bots(here).update_bot(update.clone()).await.unwrap().into_inner().bot.unwrap();
    let stale = UpdateBotRequest { name: Some("Old".into()), etag: bot.etag, ..update };
    assert_eq!(reason(&suite.bots(here).update_bot(stale).await.unwrap_err()), "ETAG_MISMATCH");
    assert_eq!(suite.bots(here).list_bots(ListBotsRequest::default()).await.unwrap().into_inner().bots, [renamed]);
    let once = suite.bots(here).delete_bot(delete.clone()).await.unwrap().into_inner().bot.unwrap();
    let twice = suite.bots(here).delete_bot(delete).await.unwrap().into_inner().bot.unwrap();
    assert!(once.deleted && once == twice);
    assert!(suite.bots(here).list_bots(ListBotsRequest::default()).await.unwrap().into_inner().bots.is_empty());
    assert!(suite.bots(here).get_bot(get).await.unwrap().into_inner().bot.unwrap().deleted);
}
