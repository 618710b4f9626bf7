//! The ways through a flow (rule B6): where each step leads, which steps are reached, whether every way ends, and how many steps follow
//! one another without waiting for the visitor. Each is found in time that grows with the number of links.

use std::collections::{BTreeSet, HashMap};

use super::{Flow, FlowProblem, StepAction};

/// Maximum number of steps that follow one another without waiting for the visitor: the calls of one turn are bounded by it.
pub(super) const MAX_RUN: usize = 50;

/// A link from a step.
pub(super) struct Link {
    /// Path of its field.
    pub(super) field: String,
    pub(super) to: Target,
}

/// Where a link leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// To the step with this index.
    Step(usize),
    /// Behind the last step of the list.
    End,
    /// To a step that the flow does not have.
    Nowhere,
}

/// The links of a flow, by the index of the step that they begin at.
pub(super) struct Paths<'a> {
    flow: &'a Flow,
    links: Vec<Vec<Link>>,
}

impl<'a> Paths<'a> {
    pub(super) fn new(flow: &'a Flow) -> Self {
        let positions = flow.positions();
        let links = (0..flow.steps.len()).map(|at| links(flow, &positions, at)).collect();
        Self { flow, links }
    }

    /// All links, in the order of the steps.
    pub(super) fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().flatten()
    }

    /// Indexes of the steps that a session can reach from the first.
    pub(super) fn reached(&self) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut pending: Vec<usize> = if self.links.is_empty() { Vec::new() } else { vec![0] };
        while let Some(at) = pending.pop() {
            if reached.insert(at) {
                pending.extend(self.following(at));
            }
        }
        reached
    }

    fn following(&self, at: usize) -> impl Iterator<Item = usize> {
        self.links[at].iter().filter_map(|link| match link.to {
            Target::Step(to) => Some(to),
            Target::End | Target::Nowhere => None,
        })
    }

    /// Returns the fields of links from these steps that lead behind the last step, each once.
    pub(super) fn open_ends(&self, steps: &BTreeSet<usize>) -> BTreeSet<&str> {
        let links = steps.iter().flat_map(|at| &self.links[*at]);
        links.filter(|link| link.to == Target::End).map(|link| link.field.as_str()).collect()
    }

    /// Returns the problems of runs, sequences of steps that do not wait: a cycle, reported once at the link that closes it, or a run
    /// that is too long, reported at its first step.
    pub(super) fn run_problems(&self) -> Vec<FlowProblem> {
        let mut runs = Runs { paths: self, lengths: vec![Length::Unknown; self.links.len()], closing: BTreeSet::new() };
        let lengths: Vec<usize> = (0..self.links.len()).map(|at| runs.length(at)).collect();
        if !runs.closing.is_empty() {
            let what = "the steps form a cycle that does not wait for the visitor; put an ask or buttons step into it";
            let closing = runs.closing.into_iter();
            return closing.map(|field| FlowProblem { field, description: what.to_owned() }).collect();
        }
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let first = lengths.iter().position(|length| *length == longest).filter(|_| longest > MAX_RUN);
        let problem = first.map(|at| FlowProblem {
            field: format!("flow.steps[{at}].id"),
            description: format!(
                "{longest} steps follow one another from this one without waiting for the visitor, more than {MAX_RUN}; put an ask or \
                 buttons step between them"
            ),
        });
        problem.into_iter().collect()
    }
}

/// How many steps run from a step on, itself included, until one waits.
#[derive(Clone, Copy)]
enum Length {
    Unknown,
    /// It is being found: a link to it closes a cycle.
    Open,
    Known(usize),
}

struct Runs<'a> {
    paths: &'a Paths<'a>,
    lengths: Vec<Length>,
    /// Fields of the links that close a cycle.
    closing: BTreeSet<String>,
}

impl Runs<'_> {
    /// The depth of the recursion is at most the number of steps, which a field rule limits.
    fn length(&mut self, at: usize) -> usize {
        if let Length::Known(length) = self.lengths[at] {
            return length;
        }
        let mut length = 1;
        let paths = self.paths;
        if !paths.flow.steps[at].waits() {
            self.lengths[at] = Length::Open;
            for link in &paths.links[at] {
                let Target::Step(to) = link.to else { continue };
                match self.lengths[to] {
                    Length::Open => {
                        self.closing.insert(link.field.clone());
                    }
                    Length::Unknown | Length::Known(_) => length = length.max(1 + self.length(to)),
                }
            }
        }
        self.lengths[at] = Length::Known(length);
        length
    }
}

/// The links of a step, in the order of its fields.
fn links(flow: &Flow, positions: &HashMap<&str, usize>, at: usize) -> Vec<Link> {
    let step = &flow.steps[at];
    let next_in_list = if at + 1 < flow.steps.len() { Target::Step(at + 1) } else { Target::End };
    let target = |next: Option<&str>| match next {
        Some(id) => positions.get(id).map_or(Target::Nowhere, |to| Target::Step(*to)),
        None => next_in_list,
    };
    let link = |field: &str, next: Option<&str>| Link { field: format!("flow.steps[{at}].{field}"), to: target(next) };
    let own = link("next_step_id", step.next.as_deref());
    let fallback = |kind: &str| {
        let attempts = step.attempts();
        attempts.map(|attempts| link(&format!("{kind}.fallback_step_id"), Some(attempts.fallback.as_str())))
    };
    match &step.action {
        StepAction::Say { .. } | StepAction::SetProperty { .. } | StepAction::CreateTicket { .. } => vec![own],
        StepAction::Ask(_) => fallback("ask").into_iter().chain([own]).collect(),
        StepAction::Buttons { buttons, .. } => {
            let mut links = Vec::new();
            for (number, button) in buttons.iter().enumerate() {
                if button.next.is_some() {
                    links.push(link(&format!("buttons.buttons[{number}].next_step_id"), button.next.as_deref()));
                }
            }
            links.extend(fallback("buttons"));
            // A step's own link counts where a button has none; a name that leads nowhere is a mistake in any case.
            if buttons.iter().any(|button| button.next.is_none()) || own.to == Target::Nowhere {
                links.push(own);
            }
            links
        }
        StepAction::Branch { cases } => {
            let field = |number| format!("branch.cases[{number}].next_step_id");
            let cases = cases.iter().enumerate().map(|(number, case)| link(&field(number), case.next.as_deref()));
            cases.chain([own]).collect()
        }
        // Not used, but a name that leads nowhere is a mistake.
        StepAction::HandOff { .. } | StepAction::Close { .. } => {
            Some(own).filter(|own| own.to == Target::Nowhere).into_iter().collect()
        }
    }
}
