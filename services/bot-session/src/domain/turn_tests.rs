//! What a session does in a turn: the steps of flows, one by one, and any flow that validation accepts.

use frontdesk_fuzz::{bytes, check};

use super::{
    super::{AnswerCheck, Condition, condition::Test, validate},
    *,
};

fn step(id: &str, action: StepAction) -> Step {
    Step { id: id.into(), action, next: None }
}

fn say(text: &str) -> StepAction {
    StepAction::Say { text: text.into(), inserts: Vec::new() }
}

fn question(text: &str, property: &str) -> Question {
    Question {
        text: text.into(),
        property: property.into(),
        check: AnswerCheck::Anything,
        retry_text: String::new(),
        choices: Vec::new(),
        attempts: None,
        takes_first_message: false,
    }
}

fn hand_off(text: &str) -> StepAction {
    StepAction::HandOff { text: text.into(), reason: "asked".into(), agent: None, policy: None, team: None }
}

fn close() -> StepAction {
    StepAction::Close { text: String::new() }
}

fn button(id: &str, label: &str, next: Option<&str>) -> Button {
    Button { id: id.into(), label: label.into(), next: next.map(Into::into) }
}

fn said(turn: &Turn) -> Vec<&str> {
    let texts = turn.actions.iter().filter_map(|action| match action {
        BotAction::Say { text, .. } | BotAction::SayFilled { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// hi, mail?, topic? (sales: bye, people: hand off)
fn flow() -> Flow {
    let buttons = vec![button("s", "Sales", Some("bye")), button("p", "People", None)];
    Flow {
        steps: vec![
            step("hi", say("hi")),
            step("mail", StepAction::Ask(question("mail?", "email"))),
            step("topic", StepAction::Buttons { text: "topic?".into(), buttons, attempts: None }),
            step("people", hand_off("wait")),
            step("bye", close()),
        ],
    }
}

fn typed(text: &str) -> VisitorInput {
    VisitorInput { sequence: 7, text: text.into(), line: text.trim().into(), button: None }
}

fn pressed(id: &str, offered_in: Option<i64>) -> VisitorInput {
    VisitorInput { button: Some(PressedButton { id: id.into(), offered_in }), ..typed("Sales") }
}

fn at(step: &str) -> Waiting<'_> {
    Waiting { step: Some(step), ..Waiting::default() }
}

fn turn(plan: Plan) -> Turn {
    match plan {
        Plan::Turn(turn) => turn,
        Plan::Branch(branch) => panic!("{branch:?}"),
    }
}

fn advance(flow: &Flow, waiting: Waiting<'_>, input: &VisitorInput) -> Turn {
    turn(flow.advance(waiting, input, &[]))
}

fn open(flow: &Flow) -> Turn {
    turn(flow.open(None, &[]))
}

#[test]
fn b6_the_first_turn_runs_until_a_step_waits() {
    let turn = open(&flow());
    assert_eq!(said(&turn), ["hi", "mail?"]);
    assert_eq!((turn.step.as_deref(), turn.answer), (Some("mail"), None));
}

#[test]
fn b6_an_answer_that_fails_the_check_is_asked_again_and_one_that_passes_is_recorded() {
    let retry = advance(&flow(), at("mail"), &typed("no"));
    assert_eq!((said(&retry).len(), retry.step.as_deref(), retry.asks_again), (1, Some("mail"), true));
    let turn = advance(&flow(), at("mail"), &typed(" a@b.co "));
    let record = BotAction::RecordAnswer { property: "email".into(), value: "a@b.co".into() };
    assert_eq!((turn.actions[0].clone(), turn.step.as_deref()), (record, Some("topic")));
    assert_eq!(turn.answer, Some(Answer { step: "mail".into(), sequence: 7, button: None }));
}

#[test]
fn b6_a_button_is_chosen_by_its_id_or_by_typing_its_label() {
    for input in [pressed("s", None), pressed("s", Some(7)), typed("  sALES ")] {
        let turn = advance(&flow(), at("topic"), &input);
        assert_eq!(turn.actions, [BotAction::Close]);
        assert_eq!(turn.answer.and_then(|answer| answer.button).as_deref(), Some("s"));
    }
    let again = advance(&flow(), at("topic"), &typed("hm"));
    assert_eq!(again.step.as_deref(), Some("topic"));
    assert!(matches!(&again.actions[..], [BotAction::Say { buttons, .. }] if buttons.len() == 2));
}

#[test]
fn b6_a_button_of_another_step_answers_nothing_even_with_the_same_label() {
    let stray = |text: &str| VisitorInput { button: pressed("x", None).button, ..typed(text) };
    let again = advance(&flow(), at("topic"), &stray("Sales"));
    assert_eq!(again.step.as_deref(), Some("topic"));
    assert!(matches!(&again.actions[..], [BotAction::Say { buttons, .. }] if buttons.len() == 2));
    let asked_again = advance(&flow(), at("mail"), &stray("a@b.co"));
    assert_eq!((said(&asked_again).len(), asked_again.step.as_deref()), (1, Some("mail")));
}

#[test]
fn b6_a_pressed_button_answers_only_the_question_that_offered_it() {
    let answer = |offered_in| {
        let waiting = Waiting { question: Some(5), ..at("topic") };
        advance(&flow(), waiting, &pressed("s", Some(offered_in)))
    };
    for question_or_its_repeat in [5, 9] {
        assert_eq!(answer(question_or_its_repeat).actions, [BotAction::Close]);
    }
    let again = answer(3);
    assert_eq!((again.step.as_deref(), again.asks_again), (Some("topic"), true));
    assert!(matches!(&again.actions[..], [BotAction::Say { buttons, .. }] if buttons.len() == 2));
}

#[test]
fn b6_a_question_with_choices_offers_them_and_stores_the_chosen_text() {
    let size = Question { choices: vec!["Small".into(), "Large".into()], ..question("size?", "size") };
    let flow = Flow { steps: vec![step("size", StepAction::Ask(size)), step("bye", close())] };
    let asked = open(&flow);
    assert!(matches!(&asked.actions[..], [BotAction::Say { buttons, .. }] if buttons[1].label == "Large"));
    for input in [pressed("choice-2", None), typed(" LARGE ")] {
        let turn = advance(&flow, at("size"), &input);
        let record = BotAction::RecordAnswer { property: "size".into(), value: "Large".into() };
        assert_eq!(turn.actions, [record, BotAction::Close]);
        assert_eq!(turn.answer.and_then(|answer| answer.button).as_deref(), Some("choice-2"));
    }
    let again = advance(&flow, at("size"), &typed("medium"));
    assert_eq!((said(&again), again.asks_again), (vec![OFFER_AGAIN], true));
}

#[test]
fn b6_after_its_attempts_a_step_goes_on_with_its_fallback() {
    let attempts = Some(Attempts { max: 2, fallback: "people".into() });
    let ask = Question { attempts, ..question("mail?", "email") };
    let steps = vec![step("mail", StepAction::Ask(ask)), step("bye", close()), step("people", hand_off("wait"))];
    let flow = Flow { steps };
    let after = |wrong_answers| {
        let waiting = Waiting { wrong_answers, ..at("mail") };
        advance(&flow, waiting, &typed("no"))
    };
    assert!(after(0).asks_again);
    let fallback = after(1);
    assert_eq!((said(&fallback), fallback.asks_again, fallback.step.clone()), (vec!["wait"], false, None));
}

#[test]
fn b6_the_first_message_answers_only_the_first_question_and_only_if_it_fits() {
    let takes = |text: &str, property: &str| Question { takes_first_message: true, ..question(text, property) };
    let steps = vec![
        step("hi", say("hi")),
        step("mail", StepAction::Ask(takes("mail?", "email"))),
        step("name", StepAction::Ask(takes("name?", "name"))),
        step("bye", close()),
    ];
    let flow = Flow { steps };
    assert!(flow.takes_first_message());
    let answered = turn(flow.open(Some(&typed("a@b.co")), &[]));
    assert_eq!((said(&answered), answered.step.as_deref()), (vec!["hi", "name?"], Some("name")));
    assert_eq!(answered.actions[1], BotAction::RecordAnswer { property: "email".into(), value: "a@b.co".into() });
    assert_eq!(answered.answer.map(|answer| (answer.step, answer.sequence)), Some(("mail".into(), 7)));
    let asked = turn(flow.open(Some(&typed("hello")), &[]));
    assert_eq!((said(&asked), asked.step.as_deref(), asked.asks_again), (vec!["hi", "mail?"], Some("mail"), false));
}

#[test]
fn b6_a_branch_waits_for_its_choice_and_knows_what_the_turn_stores() {
    let language = Condition { test: Test::Language { languages: vec!["it".into()] }, negated: false };
    let cases = vec![Case { conditions: vec![language], next: Some("bye".into()) }];
    let set = StepAction::SetProperty { property: "plan".into(), value: "gold".into() };
    let steps = vec![
        step("mail", StepAction::Ask(question("mail?", "email"))),
        step("set", set),
        step("ticket", StepAction::CreateTicket { subject: "Call back".into() }),
        step("branch", StepAction::Branch { cases: cases.clone() }),
        step("people", hand_off("wait")),
        step("bye", close()),
    ];
    let flow = Flow { steps };
    let stored = vec![("email".into(), "a@b.co".into()), ("plan".into(), "gold".into())];
    let answer = Some(("mail".into(), "a@b.co".into()));
    let pending = Plan::Branch(PendingBranch { cases, stored, answer });
    assert_eq!(flow.advance(at("mail"), &typed("a@b.co"), &[]), pending);
    let chosen = |choice| turn(flow.advance(at("mail"), &typed("a@b.co"), &[choice])).actions.pop();
    assert_eq!(chosen(0), Some(BotAction::Close));
    assert_eq!(chosen(1), Some(BotAction::HandOff { reason: "asked".into(), to: HandOffTarget::default() }));
}

#[test]
fn b6_a_text_with_placeholders_or_inserts_is_filled_and_another_one_is_not() {
    let insert = Uuid::from_u128(5);
    let with = |text: &str, inserts: Vec<Uuid>| StepAction::Say { text: text.into(), inserts };
    let steps = vec![
        step("a", with("Hi {{contact.name|you}}", Vec::new())),
        step("b", with("see", vec![insert])),
        step("c", with("plain", Vec::new())),
        step("bye", close()),
    ];
    let filled =
        |text: &str, inserts: Vec<Uuid>| BotAction::SayFilled { text: text.into(), buttons: Vec::new(), inserts };
    let plain = BotAction::Say { text: "plain".into(), buttons: Vec::new() };
    let expected =
        [filled("Hi {{contact.name|you}}", Vec::new()), filled("see", vec![insert]), plain, BotAction::Close];
    assert_eq!(open(&Flow { steps }).actions, expected);
}

#[test]
fn b7_a_blank_text_of_an_older_flow_is_left_out_unless_it_asks() {
    let flow = Flow { steps: vec![step("a", say(" ")), step("b", hand_off("\n"))] };
    assert_eq!(open(&flow).actions, [BotAction::HandOff { reason: "asked".into(), to: HandOffTarget::default() }]);
    let ask = Question { retry_text: "\n".into(), ..question(" ", "name") };
    let flow = Flow { steps: vec![step("ask", StepAction::Ask(ask))] };
    assert_eq!(said(&open(&flow)), [" "]);
    assert_eq!(said(&turn(flow.refuse(at("ask"), &[]))), [AnswerCheck::Anything.default_retry_text()]);
}

#[test]
fn b7_a_flow_without_the_step_of_its_session_cannot_continue() {
    assert!(flow().can_continue(None) && flow().can_continue(Some("topic")));
    assert!(!flow().can_continue(Some("gone")) && !Flow::default().can_continue(None));
}

#[test]
fn b8_a_hand_off_says_its_text_and_ends_the_flow() {
    let turn = advance(&flow(), at("topic"), &typed("people"));
    assert_eq!(said(&turn), ["wait"]);
    assert_eq!(turn.actions[1], BotAction::HandOff { reason: "asked".into(), to: HandOffTarget::default() });
    assert_eq!(turn.step, None);
}

#[test]
fn b8_a_hand_off_names_whom_its_step_names() {
    let [agent, policy, team] = [1, 2, 3].map(Uuid::from_u128);
    let target = HandOffTarget { agent: Some(agent), policy: Some(policy), team: Some(team) };
    let action = StepAction::HandOff {
        text: String::new(),
        reason: "why".into(),
        agent: target.agent,
        policy: target.policy,
        team: target.team,
    };
    let flow = Flow { steps: vec![step("to", action)] };
    assert_eq!(open(&flow).actions, [BotAction::HandOff { reason: "why".into(), to: target }]);
    let named = [
        ("agent_id", Reference::Agent(agent)),
        ("routing_policy_id", Reference::RoutingPolicy(policy)),
        ("team_id", Reference::Team(team)),
    ];
    assert_eq!(flow.references(), named.map(|(field, of)| (format!("flow.steps[0].hand_off.{field}"), of)));
}

#[test]
fn b6_a_bot_stays_silent_after_the_end_of_its_flow() {
    assert_eq!(advance(&flow(), Waiting::default(), &typed("hello?")), Turn::default());
}

/// Makes flows and choices from the bytes of an input.
struct Bytes<'a>(std::slice::Iter<'a, u8>);

impl Bytes<'_> {
    fn byte(&mut self) -> usize {
        self.0.next().copied().unwrap_or_default().into()
    }

    /// The id of a step, of which there may be none.
    fn id(&mut self) -> String {
        format!("s{}", self.byte() % 9)
    }

    fn link(&mut self) -> Option<String> {
        self.byte().is_multiple_of(2).then(|| self.id())
    }

    fn attempts(&mut self) -> Option<Attempts> {
        let max = u32::try_from(self.byte() % 3).unwrap();
        (max > 0).then(|| Attempts { max, fallback: self.id() })
    }

    fn action(&mut self) -> StepAction {
        match self.byte() % 8 {
            0 => say("{{contact.name|x}}"),
            1 => StepAction::Ask(Question {
                attempts: self.attempts(),
                takes_first_message: self.byte().is_multiple_of(2),
                ..question("?", "name")
            }),
            2 => StepAction::Ask(Question { choices: vec!["A".into(), "B".into()], ..question("?", "size") }),
            3 => {
                let buttons = (0..1 + self.byte() % 3).map(|n| Button {
                    id: format!("b{n}"),
                    label: format!("{n}"),
                    next: self.link(),
                });
                let buttons = buttons.collect();
                StepAction::Buttons { text: "?".into(), buttons, attempts: self.attempts() }
            }
            4 => {
                let test = Test::Answer { step: self.id(), values: Vec::new() };
                let conditions = vec![Condition { test, negated: false }];
                StepAction::Branch { cases: vec![Case { conditions, next: self.link() }] }
            }
            5 => StepAction::SetProperty { property: "plan".into(), value: "x".into() },
            6 => hand_off("x"),
            _ => close(),
        }
    }

    fn flow(&mut self) -> Flow {
        let count = 1 + self.byte() % 8;
        let step = |n: usize| Step { id: format!("s{n}"), action: self.action(), next: self.link() };
        Flow { steps: (0..count).map(step).collect() }
    }

    /// The turn, with choices of the input for its branches; again it is the same.
    fn decide(&mut self, plan: impl Fn(&[usize]) -> Plan) -> Turn {
        let mut choices = Vec::new();
        loop {
            match plan(&choices) {
                Plan::Branch(_) => choices.push(self.byte() % 3),
                Plan::Turn(turn) => {
                    assert_eq!(plan(&choices), Plan::Turn(turn.clone()));
                    return turn;
                }
            }
            assert!(choices.len() <= 20, "a turn with more branches than steps");
        }
    }
}

#[test]
fn s8_any_flow_is_judged_and_a_valid_one_waits_or_ends_after_each_message() {
    check!().with_generator(bytes(96)).for_each(|input| {
        let mut bytes = Bytes(input.iter());
        let flow = bytes.flow();
        if !validate(&flow).is_empty() {
            return;
        }
        let first = typed("first");
        let mut taken = bytes.decide(|choices| flow.open(Some(&first), choices));
        let mut wrong_answers = 0;
        for _ in 0..12 {
            assert!(taken.actions.len() <= 2 * flow.steps.len() + 1, "{taken:?}");
            let Some(step) = taken.step.clone() else {
                let ends = |action: &BotAction| matches!(action, BotAction::HandOff { .. } | BotAction::Close);
                assert!(taken.actions.last().is_some_and(ends), "{flow:?} {taken:?}");
                return;
            };
            assert!(flow.position(&step).is_some_and(|at| flow.steps[at].waits()), "{step} of {flow:?}");
            wrong_answers = if taken.asks_again { wrong_answers + 1 } else { 0 };
            let answer = [typed("A"), typed("0"), typed(" "), pressed("b1", None)][bytes.byte() % 4].clone();
            let waiting = Waiting { step: Some(&step), question: None, wrong_answers };
            taken = bytes.decide(|choices| flow.advance(waiting, &answer, choices));
        }
    });
}
