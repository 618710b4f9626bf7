//! Each step of an assignment is repeated, and fails before and after its effect: rule A5. Whatever happened, one agent has the
//! conversation, once, and a place that is given back is used again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{Agent, AssignmentCause, Availability, DeactivateAgentRequest, RoutingStrategy},
    conversation::internal::v1::{
        ChangeAssigneeOutcome, ChangeAssigneeResult, ChangeAssigneesRequest, ChangeAssigneesResponse,
        arbiter_service_client::ArbiterServiceClient,
    },
};
use frontdesk_testkit::{FakeServices, Mode, wait_until};
use sea_orm::{ConnectionTrait, Statement};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::{
    fixture::{Fixture, account, anybody},
    routing::{closed, handle, started},
};

frontdesk_testkit::on_both_modes! {
    a5_a_reservation_that_is_repeated_or_fails_gives_the_place_once,
    a5_a_change_of_owner_that_is_repeated_or_fails_gives_the_conversation_once,
    a5_a_confirmation_that_is_repeated_or_fails_counts_the_conversation_once,
    a1_a5_a_refusal_whose_place_is_given_back_twice_or_not_at_once_leaves_nothing_reserved,
    a2_a5_a_place_of_a_deactivated_agent_is_given_back_once_and_another_one_gets_the_conversation,
}

/// A step of an assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A place is reserved.
    Reserve,
    /// The conversation's row changes its owner.
    ChangeOwner,
    /// The owner is recorded in place of the reservation.
    Confirm,
    /// The row refused, and the conversation leaves the queue.
    Remove,
    /// The agent is not active, and the conversation waits again.
    Release,
}

/// What happens to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It fails, and has had no effect.
    FailsBefore,
    /// It takes effect, and the replica does not go on.
    FailsAfter,
    /// It is done again.
    Repeated,
}

impl Fault {
    /// How often the step takes effect before it is settled.
    fn times(self) -> usize {
        if self == Self::Repeated { 3 } else { 1 }
    }
}

/// Longer than the time after which a reservation is settled again.
const CHECKED: Duration = Duration::from_secs(6);
/// Longer than the time for which an account is put off whose decision failed.
const PUT_OFF: Duration = Duration::from_secs(31);

async fn a5_a_reservation_that_is_repeated_or_fails_gives_the_place_once(mode: Mode) {
    with_each_fault(mode, Step::Reserve).await;
}

async fn a5_a_change_of_owner_that_is_repeated_or_fails_gives_the_conversation_once(mode: Mode) {
    with_each_fault(mode, Step::ChangeOwner).await;
}

async fn a5_a_confirmation_that_is_repeated_or_fails_counts_the_conversation_once(mode: Mode) {
    with_each_fault(mode, Step::Confirm).await;
}

async fn a1_a5_a_refusal_whose_place_is_given_back_twice_or_not_at_once_leaves_nothing_reserved(mode: Mode) {
    with_each_fault(mode, Step::Remove).await;
}

async fn a2_a5_a_place_of_a_deactivated_agent_is_given_back_once_and_another_one_gets_the_conversation(mode: Mode) {
    with_each_fault(mode, Step::Release).await;
}

/// Has an assignment go through the step with each fault, each in an account of its own, and checks what it leads to.
async fn with_each_fault(mode: Mode, step: Step) {
    let service = Fixture::start(mode).await;
    for (number, fault) in (1..).zip([Fault::FailsBefore, Fault::FailsAfter, Fault::Repeated]) {
        let trial = Trial::begin(&service, number).await;
        let agent = match step {
            Step::Reserve => trial.reserve(fault).await,
            Step::ChangeOwner => trial.change_owner(fault).await,
            Step::Confirm => trial.confirm(fault).await,
            Step::Remove => trial.remove(fault).await,
            Step::Release => trial.release(fault).await,
        };
        trial.require_one_owner(step, &agent).await;
    }
}

/// Two conversations that wait for an agent who takes one, and is away.
struct Trial<'a> {
    service: &'a Fixture,
    here: AccountId,
    number: i64,
    ada: Agent,
    first: Uuid,
    second: Uuid,
    /// Number of changes of owner that were asked for before.
    calls_before: usize,
}

impl<'a> Trial<'a> {
    async fn begin(service: &'a Fixture, number: i64) -> Self {
        let here = account();
        let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
        let ada = service.available(here, &format!("ada-{number}"), 1).await;
        service.set_availability(here, &ada, Availability::Away).await;
        let (first, second) = (service.conversation(), service.conversation());
        let since = since(number);
        handle(service, &[started(here, first, &policy.id, since), started(here, second, &policy.id, since + 1)]).await;
        let calls_before = service.fake.calls::<ChangeAssigneesRequest>();
        let trial = Self { service, here, number, ada, first, second, calls_before };
        let published = format!(
            "SELECT count(*) AS number FROM routing_queue WHERE published IS NOT NULL AND {}",
            trial.of_account()
        );
        wait_until("both waits to be published", || async { trial.number_of(&published).await == 2 }).await;
        trial
    }

    async fn reserve(&self, fault: Fault) -> Agent {
        let service = self.service;
        match fault {
            Fault::FailsBefore => {
                let planted = self.plant("UPDATE", "routing_queue", "WHEN (OLD.state = 1 AND NEW.state = 2)").await;
                self.come().await;
                let put_off = service.db.now().await.unwrap().plus(CHECKED).0;
                wait_until("the decision to fail", || async { self.look_at().await > put_off }).await;
                self.heal(planted).await;
                service.clock.advance(PUT_OFF).unwrap();
            }
            Fault::FailsAfter => {
                self.reserve_by_sql().await;
                wait_until("the settlement", || async { self.reserved().await == 0 }).await;
                self.come().await;
            }
            Fault::Repeated => {
                service.fail_changes_of_owner();
                self.come().await;
                self.wait_for_calls(1).await;
                for _ in 0..3 {
                    self.execute(&format!("UPDATE routing_accounts SET look_at = 1 WHERE {}", self.of_account())).await;
                    wait_until("another decision", || async { self.look_at().await > 1 }).await;
                }
                assert_eq!(self.reserved().await, 1, "the place is reserved once");
                self.answer().await;
            }
        }
        self.ada.clone()
    }

    async fn change_owner(&self, fault: Fault) -> Agent {
        if fault == Fault::FailsBefore {
            self.service.fail_changes_of_owner();
            self.come().await;
            self.wait_for_calls(1).await;
            assert_eq!(self.service.owner(self.first), (1, String::new()));
        } else {
            let lost = lose_answers(self.service).await;
            self.come().await;
            for times in 1..=fault.times() {
                wait_until("a change", || async { lost.load(Ordering::SeqCst) >= times }).await;
                assert_eq!(self.service.owner(self.first), (2, self.ada.id.clone()));
                assert_eq!(self.service.owner(self.second), (1, String::new()), "the place is reserved");
                if fault == Fault::Repeated {
                    self.service.clock.advance(CHECKED).unwrap();
                }
            }
        }
        self.answer().await;
        self.ada.clone()
    }

    async fn confirm(&self, fault: Fault) -> Agent {
        if fault == Fault::FailsBefore {
            let planted = self.plant("INSERT", "assignments", "").await;
            self.come().await;
            self.wait_for_calls(1).await;
            self.service.clock.advance(CHECKED).unwrap();
            self.wait_for_calls(2).await;
            assert_eq!(self.reserved().await, 1, "the reservation counts until the owner is recorded");
            self.heal(planted).await;
            self.service.clock.advance(CHECKED).unwrap();
        } else {
            self.come().await;
            wait_until("the confirmation", || async { self.place(self.first).await == (0, 0) }).await;
            self.settle_again(&self.ada, "agent_id IS NOT NULL", fault).await;
        }
        self.ada.clone()
    }

    async fn remove(&self, fault: Fault) -> Agent {
        // Its owner changed, and the event has not come.
        self.service.conversations.with(self.first, |row| row.conversation.epoch = 2);
        if fault == Fault::FailsBefore {
            // Its wait was published: the row stays until its end is.
            let planted = self.plant("UPDATE", "routing_queue", "WHEN (NEW.state = 4)").await;
            self.come().await;
            self.wait_for_calls(1).await;
            self.service.clock.advance(CHECKED).unwrap();
            self.wait_for_calls(2).await;
            assert_eq!(self.service.owner(self.second), (1, String::new()), "the place is not given back");
            self.heal(planted).await;
            self.service.clock.advance(CHECKED).unwrap();
        } else {
            self.come().await;
            assert_eq!(self.service.routed(self.second).await, self.ada.id);
            wait_until("the confirmation", || async { self.place(self.second).await == (0, 0) }).await;
            self.settle_again(&self.ada, "agent_id IS NULL", fault).await;
        }
        self.ada.clone()
    }

    async fn release(&self, fault: Fault) -> Agent {
        let service = self.service;
        service.fake.on(|request: Request<ChangeAssigneesRequest>| -> Result<ChangeAssigneesResponse, Status> {
            let result = |conversation_id| ChangeAssigneeResult {
                conversation_id,
                outcome: ChangeAssigneeOutcome::AgentNotActive.into(),
                ..ChangeAssigneeResult::default()
            };
            let changes = request.into_inner().changes.into_iter();
            Ok(ChangeAssigneesResponse { results: changes.map(|change| result(change.conversation_id)).collect() })
        });
        self.come().await;
        self.wait_for_calls(1).await;
        let mut planted = None;
        if fault == Fault::FailsBefore {
            planted = Some(self.plant("UPDATE", "routing_queue", "WHEN (OLD.state = 2 AND NEW.state = 1)").await);
        }
        let deactivate = DeactivateAgentRequest { agent_id: self.ada.id.clone() };
        service.roster(self.here).deactivate_agent(deactivate).await.unwrap();
        service.clock.advance(CHECKED).unwrap();
        if let Some(planted) = planted {
            self.wait_for_calls(2).await;
            service.clock.advance(CHECKED).unwrap();
            self.wait_for_calls(3).await;
            assert_eq!(self.reserved().await, 1, "the place is not given back");
            self.heal(planted).await;
            service.clock.advance(CHECKED).unwrap();
        }
        wait_until("the place to be given back", || async { self.reserved().await == 0 }).await;
        assert_eq!(self.place(self.first).await, (1, 2), "it waits as before");
        service.conversations.serve_by(&service.fake);
        let bob = service.available(self.here, &format!("bob-{}", self.number), 1).await;
        assert_eq!(service.routed(self.first).await, bob.id);
        wait_until("the confirmation", || async { self.place(self.first).await == (0, 0) }).await;
        if fault == Fault::Repeated {
            self.settle_again(&self.ada, "agent_id IS NOT NULL", fault).await;
        }
        bob
    }

    /// One agent has one of the conversations, and gets the other one when it is closed.
    async fn require_one_owner(&self, step: Step, agent: &Agent) {
        let service = self.service;
        let (owned, other) = if step == Step::Remove { (self.second, self.first) } else { (self.first, self.second) };
        assert_eq!(service.routed(owned).await, agent.id);
        wait_until("the confirmation", || async { self.place(owned).await == (0, 0) }).await;
        assert_eq!((service.owner(owned).0, self.load(agent).await, self.reserved().await), (2, 1, 0));
        let history = service.history(self.here, owned).await;
        let routed = history.iter().filter(|entry| entry.cause() == AssignmentCause::Routed);
        assert_eq!(routed.count(), 1);
        if step == Step::Remove {
            assert_eq!((service.owner(other), self.place(other).await), ((2, String::new()), (0, 0)));
        } else {
            assert_eq!((service.owner(other), self.place(other).await), ((1, String::new()), (1, 1)));
        }
        handle(service, &[closed(self.here, owned, 3)]).await;
        if step != Step::Remove {
            assert_eq!(service.routed(other).await, agent.id);
            wait_until("the confirmation", || async { self.place(other).await == (0, 0) }).await;
        }
        let left = i32::from(step != Step::Remove);
        assert_eq!((self.load(agent).await, self.reserved().await), (left, 0));
    }

    /// The agent is available again.
    async fn come(&self) {
        self.service.set_availability(self.here, &self.ada, Availability::Available).await;
    }

    /// The conversation service answers again, and the reservation is settled.
    async fn answer(&self) {
        self.service.conversations.serve_by(&self.service.fake);
        self.service.clock.advance(CHECKED).unwrap();
    }

    async fn wait_for_calls(&self, number: usize) {
        let asked = || self.service.fake.calls::<ChangeAssigneesRequest>() >= self.calls_before + number;
        wait_until("a change to be asked for", || async { asked() }).await;
    }

    /// Place in the queue and number of conversations in it.
    async fn place(&self, conversation: Uuid) -> (i32, i32) {
        self.service.place(self.here, conversation).await
    }

    async fn load(&self, agent: &Agent) -> i32 {
        self.service.status(self.here, agent).await.open_conversations
    }

    /// The number of places that are reserved.
    async fn reserved(&self) -> i64 {
        let sql = format!("SELECT count(*) AS number FROM routing_queue WHERE state = 2 AND {}", self.of_account());
        self.number_of(&sql).await
    }

    /// The time of the next decision. 0: none is to come.
    async fn look_at(&self) -> i64 {
        let sql =
            format!("SELECT coalesce(max(look_at), 0) AS number FROM routing_accounts WHERE {}", self.of_account());
        self.number_of(&sql).await
    }

    async fn number_of(&self, sql: &str) -> i64 {
        number(self.service, sql).await
    }

    /// Reserves the agent's place for the first conversation, as a replica that ends then.
    async fn reserve_by_sql(&self) {
        let sql = format!(
            "UPDATE routing_queue SET state = 2, agent_id = ({}), check_at = 1 WHERE waiting_since = {}",
            self.id_of(&self.ada),
            since(self.number)
        );
        self.execute(&sql).await;
    }

    /// Has the reservation of the agent's place for a conversation settled again after it was: the one with such an owner.
    async fn settle_again(&self, agent: &Agent, owner: &str, fault: Fault) {
        let conversations = format!("FROM conversation_owners WHERE {} AND {owner}", self.of_account());
        let left = format!(
            "SELECT count(*) AS number FROM routing_queue WHERE conversation_id IN (SELECT conversation_id {conversations})"
        );
        wait_until("the end of the wait to be published", || async { self.number_of(&left).await == 0 }).await;
        for _ in 0..fault.times() {
            let sql = format!(
                "INSERT INTO routing_queue (account_id, conversation_id, epoch, waiting_since, state, agent_id, check_at)
                SELECT account_id, conversation_id, 1, {}, 2, ({}), 1 {conversations}",
                since(self.number),
                self.id_of(agent)
            );
            self.execute(&sql).await;
            wait_until("the settlement", || async { self.reserved().await == 0 }).await;
        }
    }

    /// Condition for the rows of the account.
    fn of_account(&self) -> String {
        format!("account_id = (SELECT account_id FROM agents WHERE handle = '{}')", self.ada.handle)
    }

    /// Query for the agent's id.
    fn id_of(&self, agent: &Agent) -> String {
        format!("SELECT id FROM agents WHERE handle = '{}'", agent.handle)
    }

    async fn plant(&self, operation: &str, table: &str, condition: &str) -> String {
        plant(self.service, operation, table, condition).await
    }

    async fn heal(&self, planted: String) {
        self.execute(&planted).await;
    }

    async fn execute(&self, sql: &str) {
        execute(self.service, sql).await;
    }
}

/// Has the operation on rows of the table fail for which the condition holds. Returns the statement that ends it.
pub async fn plant(service: &Fixture, operation: &str, table: &str, condition: &str) -> String {
    let before = format!("CREATE TRIGGER planted BEFORE {operation} ON {table} FOR EACH ROW {condition}");
    match service.mode {
        Mode::Embedded => {
            execute(service, &format!("{before} BEGIN SELECT RAISE(ABORT, 'planted'); END")).await;
            "DROP TRIGGER planted".into()
        }
        Mode::Distributed => {
            let function = "CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN RAISE EXCEPTION 'planted'; END $$";
            execute(service, &format!("{function}; {before} EXECUTE FUNCTION planted()")).await;
            "DROP FUNCTION planted() CASCADE".into()
        }
    }
}

pub async fn execute(service: &Fixture, sql: &str) {
    let tx = service.db.begin().await.unwrap();
    tx.conn().execute_unprepared(sql).await.unwrap();
    tx.commit().await.unwrap();
}

/// The number that the query returns.
pub async fn number(service: &Fixture, sql: &str) -> i64 {
    let connection = service.db.read();
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get("", "number").unwrap()
}

/// Since when the first conversation of a trial waits (microseconds); the other one waits since the next microsecond.
fn since(number: i64) -> i64 {
    number * 100
}

/// Makes each change of owner, and loses the answer: what a crash after the change leaves. Returns the number of changes.
async fn lose_answers(service: &Fixture) -> Arc<AtomicUsize> {
    let (behind, lost) = (FakeServices::default(), Arc::new(AtomicUsize::new(0)));
    service.conversations.serve_by(&behind);
    let address = behind.serve().await;
    let (runtime, counter) = (tokio::runtime::Handle::current(), lost.clone());
    service.fake.on(move |request: Request<ChangeAssigneesRequest>| -> Result<ChangeAssigneesResponse, Status> {
        let (address, request, counter) = (address.clone(), request.into_inner(), counter.clone());
        runtime.spawn(async move {
            let mut row = ArbiterServiceClient::connect(address).await.unwrap();
            row.change_assignees(request).await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
        });
        Err(Status::unavailable("lost"))
    });
    lost
}
