//! How a scenario is written down.

use super::board::{Check, Part};
use super::trace::Cut;

/// A row of the kill table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title {
    /// The kind of object.
    pub object: &'static str,
    /// The operation that is stepped.
    pub operation: &'static str,
    /// What else is going on.
    pub scenario: String,
    /// Who is killed.
    pub role: &'static str,
}

impl Title {
    /// Whether this is the row's title, whole or without who is killed. Small letters will do.
    pub fn is(&self, row: &str) -> bool {
        let whole = self.to_string().to_lowercase();
        let ends = ["", " killed", &format!(", {} killed", self.role.to_lowercase())];
        ends.iter().any(|end| whole.strip_suffix(end) == Some(&row.to_lowercase()))
    }
}

impl std::fmt::Display for Title {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}, {}, {} killed", self.object, self.operation, self.scenario, self.role)
    }
}

/// When a helper comes in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Enter {
    /// Before the victim is born.
    Before,
    /// When the victim stands at its start mark.
    AtStart,
    /// When the victim falls asleep for the first time. If it is killed before, not at all.
    WhenAsleep,
    /// When the victim stands where it is to be killed: they meet a process that is stopped, and then dies.
    AtKill,
}

/// What a helper has reached before the story goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// It called `ready`.
    Ready,
    /// And then fell asleep in the kernel, or came to its end.
    Asleep,
    /// It came to its end.
    Over,
}

/// How a helper comes to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself after the victim's death: it needs nobody else.
    Alone,
    /// At the latest after the verifier has done its part.
    AfterVerifier,
    /// It dies on its cue.
    Dies,
}

/// What becomes of a first victim that has come to its point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// It is killed there, before the second is born.
    Dies,
    /// It stands still there. It is killed when the victim first sleeps, or after it.
    StandsAndDies,
    /// It stands still there, and goes on after the victim's death: a bystander, who must come to this end. Its points
    /// are the last ones before it would fall asleep.
    GoesOn(End),
}

/// How the victim ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// SIGKILL.
    Kill,
    /// SIGKILL, and `process_mrelease` takes its memory before it runs again, as the out-of-memory reaper does: the
    /// kernel finds no robust list.
    Reaped,
    /// It becomes another program. From a thread that is not the main one the kernel marks nothing.
    Exec,
}

/// The limits of a scenario.
#[derive(Clone, Copy)]
pub struct Limits {
    /// How long survivors may take before they count as stuck.
    pub patience_ns: u64,
    /// A recovery that takes longer, three times in a row, is a failure: somebody was not told.
    pub late_ns: u64,
    /// Longer operations are thinned: of an instruction that recurs only the first, the last and some of the
    /// middle occurrences are kill points.
    pub thin_above: usize,
    /// Run the victim on any processor instead of the engine's: it may then spin for others.
    pub roams: bool,
    /// What becomes of the first victim.
    pub first: First,
    /// Sleepers who are told of a death may have been found by the net of 50 ms.
    pub net_when_told: bool,
    /// How the victim ends.
    pub death: Death,
    /// When the operation is over, the victim is left alive: then, too, nobody may be forgotten.
    pub lives_at_end: bool,
    /// The victim is the child that the victim's role forks after its start mark: it is killed from its first instruction
    /// on, and comes to an end mark if it is not. The parent is a survivor and must come to its end.
    pub follows: bool,
    /// How many deaths of the first victim are combined with each of the second.
    pub first_deaths: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            patience_ns: 2_000_000_000,
            late_ns: 30_000_000,
            thin_above: 3_000,
            roams: false,
            first: First::Dies,
            net_when_told: false,
            death: Death::Kill,
            lives_at_end: true,
            follows: false,
            first_deaths: 12,
        }
    }
}

type Role<W> = Box<dyn Fn(&W, &Cut)>;
type Helping<W> = Box<dyn Fn(&W, &Part) -> Check>;

struct Helper<W> {
    enter: Enter,
    until: Until,
    end: End,
    body: Helping<W>,
}

/// A scenario over a world `W` that is made afresh for each point.
pub struct Case<W> {
    title: Title,
    limits: Limits,
    make: Box<dyn Fn() -> W>,
    helpers: Vec<Helper<W>>,
    first: Option<Role<W>>,
    victim: Option<Role<W>>,
    verify: Option<Helping<W>>,
}

impl<W: 'static> Case<W> {
    /// A scenario with its title and the maker of its world. The role killed is the "caller" until said otherwise.
    pub fn new(
        object: &'static str,
        operation: &'static str,
        scenario: impl Into<String>,
        make: impl Fn() -> W + 'static,
    ) -> Self {
        Case {
            title: Title { object, operation, scenario: scenario.into(), role: "caller" },
            limits: Limits::default(),
            make: Box::new(make),
            helpers: Vec::new(),
            first: None,
            victim: None,
            verify: None,
        }
    }

    /// Names the role killed.
    pub fn role(mut self, role: &'static str) -> Self {
        self.title.role = role;
        self
    }

    /// Changes the limits.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Adds a helper process.
    pub fn helper(
        mut self,
        enter: Enter,
        until: Until,
        end: End,
        body: impl Fn(&W, &Part) -> Check + 'static,
    ) -> Self {
        self.helpers.push(Helper { enter, until, end, body: Box::new(body) });
        self
    }

    /// A first victim, killed at some points of its operation before the second victim is born.
    pub fn first(mut self, body: impl Fn(&W, &Cut) + 'static) -> Self {
        self.first = Some(Box::new(body));
        self
    }

    /// The victim: prepares, calls `start`, does the operation, calls `end`.
    pub fn victim(mut self, body: impl Fn(&W, &Cut) + 'static) -> Self {
        self.victim = Some(Box::new(body));
        self
    }

    /// The survivor that comes after the death.
    pub fn verify(mut self, body: impl Fn(&W, &Part) -> Check + 'static) -> Box<dyn Scenario> {
        self.verify = Some(Box::new(body));
        Box::new(self)
    }
}

/// A scenario without its world's type.
pub trait Scenario {
    /// The row of the kill table.
    fn title(&self) -> &Title;
    /// The limits.
    fn limits(&self) -> &Limits;
    /// Whether there is a first victim.
    fn has_first(&self) -> bool;
    /// Makes a fresh world.
    fn stage(&self) -> Box<dyn Stage + '_>;
}

/// A scenario with a fresh world.
pub trait Stage {
    /// When each helper enters, what it must reach, how it ends.
    fn helpers(&self) -> Vec<(Enter, Until, End)>;
    /// A helper's part.
    fn help(&self, index: usize, part: &Part) -> Check;
    /// The first victim's part.
    fn first(&self, cut: &Cut);
    /// The victim's part.
    fn victim(&self, cut: &Cut);
    /// The survivor's part.
    fn verify(&self, part: &Part) -> Check;
}

struct OnStage<'a, W> {
    case: &'a Case<W>,
    world: W,
}

impl<W: 'static> Scenario for Case<W> {
    fn title(&self) -> &Title {
        &self.title
    }
    fn limits(&self) -> &Limits {
        &self.limits
    }
    fn has_first(&self) -> bool {
        self.first.is_some()
    }
    fn stage(&self) -> Box<dyn Stage + '_> {
        Box::new(OnStage { case: self, world: (self.make)() })
    }
}

impl<W: 'static> Stage for OnStage<'_, W> {
    fn helpers(&self) -> Vec<(Enter, Until, End)> {
        self.case.helpers.iter().map(|h| (h.enter, h.until, h.end)).collect()
    }
    fn help(&self, index: usize, part: &Part) -> Check {
        (self.case.helpers[index].body)(&self.world, part)
    }
    fn first(&self, cut: &Cut) {
        (self.case.first.as_ref().expect("asked only if there is one"))(&self.world, cut);
    }
    fn victim(&self, cut: &Cut) {
        (self.case.victim.as_ref().expect("every scenario has a victim"))(&self.world, cut);
    }
    fn verify(&self, part: &Part) -> Check {
        (self.case.verify.as_ref().expect("set by the last builder step"))(&self.world, part)
    }
}
