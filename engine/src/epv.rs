//! Expected possession value: what a candidate's position in the league is worth, as a small Markov decision process.
//!
//! States carry either a fixed terminal value or actions with a reward r and transition probabilities p. Synchronous value iteration
//! from V = 0 (terminals at their value) computes
//!
//! ```text
//! V'(s) = max over actions of r + γ·(Σ p·V(to))        until max|V' − V| ≤ tolerance
//! ```
//!
//! The iteration contracts by γ, V is bounded by max|r|/(1 − γ) and the terminals, and raising a reward never lowers any V. The policy
//! is the best action under the final V, the lowest index on ties. Rewards and values are in units of L∞. Advisory.
//!
//! Sources: specification §11; R. Bellman, *Dynamic Programming* (1957); for the name D. Cervone et al., *A multiresolution stochastic
//! process model for predicting basketball possession outcomes*, J. Am. Stat. Assoc. 111 (2016).

use serde::{Deserialize, Serialize};

use crate::num::{Num, check, unit};

/// Most states of a process.
pub const MAX_STATES: usize = 64;
/// Iterations made at most, whatever was asked for.
pub const MAX_ITERATIONS: u64 = 1_000_000;
/// Largest absolute reward or terminal value.
const MAX_VALUE: f64 = 1e9;
const SUM_TOLERANCE: f64 = 1e-9;

/// A Markov decision process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mdp {
    /// At most [`MAX_STATES`] states; transitions refer to their index.
    pub states: Vec<State>,
}

/// One state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Name, for display only.
    pub name: String,
    /// Fixed value of a terminal state.
    #[serde(default)]
    pub terminal: Num,
    /// Actions; at least one unless the state is terminal.
    #[serde(default)]
    pub actions: Vec<Action>,
}

/// One action.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Name, for display only.
    pub name: String,
    /// Immediate reward, within ±1e9.
    pub reward: Num,
    /// Where the action leads; the probabilities sum to 1 within 1e-9.
    pub transitions: Vec<Transition>,
}

/// One possible consequence of an action.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// Index of the next state.
    pub to: i64,
    /// Probability, [0, 1].
    pub p: Num,
}

/// How to solve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Options {
    /// Discount γ, [0, 1).
    pub gamma: Num,
    /// Largest change of any value in the last iteration.
    pub tolerance: f64,
    /// Iterations after which the result is returned unconverged; at most [`MAX_ITERATIONS`].
    pub max_iterations: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            gamma: Num::new(0.95),
            tolerance: 1e-9,
            max_iterations: 10_000,
        }
    }
}

/// Values and policy of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Solution {
    /// Value of each state.
    pub values: Vec<f64>,
    /// Index of the best action of each state; `None` for terminals.
    pub policy: Vec<Option<usize>>,
    /// Iterations made.
    pub iterations: u64,
    /// Whether the last iteration changed no value by more than the tolerance.
    pub converged: bool,
}

/// What is wrong with a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// γ is not in [0, 1).
    BadGamma,
    /// There is no state.
    Empty,
    /// There are more than [`MAX_STATES`] states.
    TooManyStates,
    /// A reward or terminal value is not finite or beyond ±1e9.
    BadNumber,
    /// A state is neither terminal nor has actions.
    NoActions,
    /// A probability is outside [0, 1].
    BadProbability,
    /// A transition leads to no state.
    BadTarget,
    /// The probabilities of an action do not sum to 1.
    ProbabilitySum,
}

/// The first fault in document order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MdpError {
    /// What is wrong.
    pub error: Fault,
    /// Index of the state, if the fault lies in one.
    pub state: Option<usize>,
    /// Index of the action, if the fault lies in one.
    pub action: Option<usize>,
}

impl std::fmt::Display for MdpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unusable decision process: {:?}", self.error)?;
        if let Some(state) = self.state {
            write!(f, " in state {state}")?;
        }
        if let Some(action) = self.action {
            write!(f, ", action {action}")?;
        }
        Ok(())
    }
}

impl std::error::Error for MdpError {}

/// A checked process: plain numbers, every target in range.
struct Process(Vec<Node>);

enum Node {
    Terminal(f64),
    Choice(Vec<(f64, Vec<(usize, f64)>)>),
}

/// Solves a process by value iteration.
///
/// # Errors
///
/// The first fault in document order.
pub fn solve(mdp: &Mdp, options: &Options) -> Result<Solution, MdpError> {
    let whole = |error| MdpError {
        error,
        state: None,
        action: None,
    };
    let gamma = check(options.gamma, 0.0, 1.0, 0.0)
        .ok()
        .filter(|gamma| *gamma < 1.0)
        .ok_or(whole(Fault::BadGamma))?;
    if mdp.states.is_empty() {
        return Err(whole(Fault::Empty));
    }
    if mdp.states.len() > MAX_STATES {
        return Err(whole(Fault::TooManyStates));
    }
    let nodes = mdp
        .states
        .iter()
        .enumerate()
        .map(|(index, state)| admit_state(index, state, mdp.states.len()));
    let process = Process(nodes.collect::<Result<_, _>>()?);
    Ok(process.iterate(gamma, options.tolerance, options.max_iterations.min(MAX_ITERATIONS)))
}

fn admit_state(index: usize, state: &State, states: usize) -> Result<Node, MdpError> {
    let fault = |error| MdpError {
        error,
        state: Some(index),
        action: None,
    };
    let terminal = if state.terminal.is_missing() {
        None
    } else {
        Some(number(state.terminal).ok_or(fault(Fault::BadNumber))?)
    };
    if terminal.is_none() && state.actions.is_empty() {
        return Err(fault(Fault::NoActions));
    }
    let actions = state.actions.iter().enumerate().map(|(position, action)| {
        admit_action(action, states).map_err(|error| MdpError {
            error,
            state: Some(index),
            action: Some(position),
        })
    });
    let actions = actions.collect::<Result<Vec<_>, _>>()?;
    Ok(terminal.map_or(Node::Choice(actions), Node::Terminal))
}

fn admit_action(action: &Action, states: usize) -> Result<(f64, Vec<(usize, f64)>), Fault> {
    let reward = number(action.reward).ok_or(Fault::BadNumber)?;
    let mut sum = 0.0;
    let mut transitions = Vec::with_capacity(action.transitions.len());
    for transition in &action.transitions {
        let p = unit(transition.p).map_err(|_| Fault::BadProbability)?;
        let to = usize::try_from(transition.to)
            .ok()
            .filter(|to| *to < states)
            .ok_or(Fault::BadTarget)?;
        sum += p;
        transitions.push((to, p));
    }
    if (sum - 1.0).abs() > SUM_TOLERANCE {
        return Err(Fault::ProbabilitySum);
    }
    Ok((reward, transitions))
}

fn number(x: Num) -> Option<f64> {
    check(x, -MAX_VALUE, MAX_VALUE, 0.0).ok()
}

impl Process {
    fn iterate(&self, gamma: f64, tolerance: f64, max_iterations: u64) -> Solution {
        let start = self
            .0
            .iter()
            .map(|node| if let Node::Terminal(value) = node { *value } else { 0.0 });
        let mut values: Vec<f64> = start.collect();
        let mut iterations = 0;
        let mut converged = false;
        while !converged && iterations < max_iterations {
            let next: Vec<f64> = self.0.iter().map(|node| best(node, gamma, &values).0).collect();
            let change = values
                .iter()
                .zip(&next)
                .fold(0.0, |change, (old, new)| f64::max(change, (new - old).abs()));
            converged = change <= tolerance;
            values = next;
            iterations += 1;
        }
        let policy = self.0.iter().map(|node| best(node, gamma, &values).1).collect();
        Solution {
            values,
            policy,
            iterations,
            converged,
        }
    }
}

/// Value of a state and the first of its best actions under `values`.
fn best(node: &Node, gamma: f64, values: &[f64]) -> (f64, Option<usize>) {
    let actions = match node {
        Node::Terminal(value) => return (*value, None),
        Node::Choice(actions) => actions,
    };
    let mut best = (f64::NEG_INFINITY, None);
    for (index, (reward, transitions)) in actions.iter().enumerate() {
        // Targets were checked, so every look-up succeeds.
        let expected = transitions
            .iter()
            .fold(0.0, |sum, (to, p)| sum + p * values.get(*to).copied().unwrap_or(0.0));
        let value = reward + gamma * expected;
        if value > best.0 {
            best = (value, Some(index));
        }
    }
    best
}

/// Chances and stakes of a candidate in the league.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LeagueStakes {
    /// Probability of passing the shadow stage.
    pub pass_shadow: Num,
    /// Probability of passing the canary stage.
    pub pass_canary: Num,
    /// Value of a promotion, in units of L∞.
    pub gain: Num,
    /// Cost of running one stage.
    pub stage_cost: Num,
    /// Weight of that cost.
    pub cost_penalty: Num,
}

/// The league as a process: shadow (0) and canary (1) may advance or withdraw; promoted (2) and withdrawn (3) are terminal.
#[must_use]
pub fn league(stakes: &LeagueStakes) -> Mdp {
    let product = |a: Num, b: Num| Num::from(a.get().zip(b.get()).map(|(a, b)| -(a * b)));
    let reward = product(stakes.cost_penalty, stakes.stage_cost);
    let stage = |name: &str, next: i64, pass: Num| State {
        name: name.to_owned(),
        terminal: Num::MISSING,
        actions: vec![
            Action {
                name: "advance".to_owned(),
                reward,
                transitions: vec![
                    Transition { to: next, p: pass },
                    Transition {
                        to: 3,
                        p: Num::from(pass.get().map(|p| 1.0 - p)),
                    },
                ],
            },
            Action {
                name: "withdraw".to_owned(),
                reward: Num::new(0.0),
                transitions: vec![Transition {
                    to: 3,
                    p: Num::new(1.0),
                }],
            },
        ],
    };
    let end = |name: &str, value| State {
        name: name.to_owned(),
        terminal: value,
        actions: Vec::new(),
    };
    // A missing gain must stay visible as a fault, not turn "promoted" into a state without actions.
    let gain = if stakes.gain.is_missing() {
        Num::new(f64::NAN)
    } else {
        stakes.gain
    };
    Mdp {
        states: vec![
            stage("shadow", 1, stakes.pass_shadow),
            stage("canary", 2, stakes.pass_canary),
            end("promoted", gain),
            end("withdrawn", Num::new(0.0)),
        ],
    }
}

/// Success rate with one success and one failure added (Laplace's rule of succession); missing when more passed than were tried.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    reason = "the nearest binary64 value of a count is intended"
)]
pub fn smoothed_rate(passed: u64, tried: u64) -> Num {
    if passed > tried {
        Num::MISSING
    } else {
        Num::new((passed as f64 + 1.0) / (tried as f64 + 2.0))
    }
}
