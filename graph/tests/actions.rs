//! Goals that wait before they begin, and goals that are not called off.

use std::sync::Arc;
use std::time::Duration;

use graph::testing::Bench;
use graph::{CancelAnswer, GoalHandle, HandlerResult, Node, NodeError, Qos, Setup, SetupError};
use msgs::action_msgs::msg::{GoalInfo, GoalStatus, GoalStatusArray};
use msgs::action_msgs::srv::{CancelGoal, CancelGoalRequest, CancelGoalResponse};
use msgs::example_interfaces::action::{
    Fibonacci, FibonacciGetResult, FibonacciGetResultRequest, FibonacciGoal, FibonacciResult, FibonacciSendGoal,
    FibonacciSendGoalRequest,
};
use msgs::std_msgs::msg::Empty;
use msgs::unique_identifier_msgs::msg::UUID;

const STEP: Duration = Duration::from_millis(10);

/// Goals wait until it is told to `go`. One of order 1 is not called off, the question about one of order 2 fails.
#[derive(Default)]
struct Server {
    goals: Vec<GoalHandle<Fibonacci>>,
}

impl Node for Server {
    const NAME: &'static str = "server";
    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        s.action_server_deciding::<Fibonacci>(
            "fibonacci",
            |node: &mut Self, ctx, handle| {
                if handle.goal().order > 0 {
                    handle.defer(ctx);
                }
                node.goals.push(handle);
                Ok(())
            },
            |node: &mut Self, ctx, id| {
                let position =
                    node.goals.iter().position(|goal| goal.id() == id).ok_or_else(|| NodeError::new("no such goal"))?;
                match node.goals[position].goal().order {
                    1 => Ok(CancelAnswer::Reject),
                    2 => Err(NodeError::new("cannot tell")),
                    3 => Ok(CancelAnswer::Accept),
                    _ => {
                        node.goals.remove(position).canceled(ctx, FibonacciResult::default());
                        Ok(CancelAnswer::Accept)
                    }
                }
            },
        )?;
        s.subscribe("go", Qos::reliable(1), |node: &mut Self, ctx, _: Arc<Empty>| -> HandlerResult {
            node.goals.iter().for_each(|goal| goal.execute(ctx));
            Ok(())
        })?;
        s.subscribe("end", Qos::reliable(1), |node: &mut Self, ctx, _: Arc<Empty>| -> HandlerResult {
            node.goals.drain(..).for_each(|goal| goal.succeed(ctx, FibonacciResult { sequence: vec![goal.goal().order] }));
            Ok(())
        })?;
        Ok(Self::default())
    }
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.add::<Server>(&[]).unwrap();
    bench
}

fn send(bench: &mut Bench, order: i32) -> UUID {
    let goal_id = UUID { uuid: [order as u8 + 1; 16] };
    let request = FibonacciSendGoalRequest { goal_id: goal_id.clone(), goal: FibonacciGoal { order } };
    assert!(bench.call::<FibonacciSendGoal>("fibonacci/_action/send_goal", request).unwrap().accepted);
    goal_id
}

fn cancel(bench: &mut Bench, goal_id: UUID) -> (i8, usize) {
    let goal_info = GoalInfo { goal_id, ..GoalInfo::default() };
    let answer = bench.call::<CancelGoal>("fibonacci/_action/cancel_goal", CancelGoalRequest { goal_info }).unwrap();
    (answer.return_code, answer.goals_canceling.len())
}

/// The status of the goals in each report so far.
fn reports(bench: &mut Bench) -> Vec<Vec<i8>> {
    let reports = bench.take::<GoalStatusArray>("fibonacci/_action/status");
    reports.iter().map(|report| report.status_list.iter().map(|goal| goal.status).collect()).collect()
}

const ACCEPTED: i8 = GoalStatus::STATUS_ACCEPTED;
const EXECUTING: i8 = GoalStatus::STATUS_EXECUTING;
const CANCELING: i8 = GoalStatus::STATUS_CANCELING;

#[test]
fn a_goal_that_is_deferred_is_accepted_until_it_is_executed() {
    let mut bench = bench();
    send(&mut bench, 0);
    assert_eq!(reports(&mut bench), [[EXECUTING]]);
    send(&mut bench, 5);
    assert_eq!(reports(&mut bench), [[EXECUTING, ACCEPTED]]);
    bench.publish("go", Empty::default());
    bench.run_for(STEP);
    assert_eq!(reports(&mut bench), [[EXECUTING, EXECUTING]], "one report: the other was being executed already");
    bench.publish("end", Empty::default());
    bench.run_for(STEP);
    assert_eq!(reports(&mut bench).pop().unwrap(), [GoalStatus::STATUS_SUCCEEDED; 2]);
}

#[test]
fn a_server_may_refuse_to_call_a_goal_off_and_the_goal_goes_on() {
    let mut bench = bench();
    let stubborn = send(&mut bench, 1);
    assert_eq!(cancel(&mut bench, stubborn.clone()), (CancelGoalResponse::ERROR_REJECTED, 0));
    assert_eq!(reports(&mut bench), [[ACCEPTED]], "nothing has changed, nothing is reported");
    bench.publish("go", Empty::default());
    bench.run_for(STEP);
    assert_eq!(cancel(&mut bench, stubborn.clone()), (CancelGoalResponse::ERROR_REJECTED, 0));
    assert_eq!(reports(&mut bench), [[EXECUTING]]);
    bench.publish("end", Empty::default());
    bench.run_for(STEP);
    let request = FibonacciGetResultRequest { goal_id: stubborn.clone() };
    let result = bench.call::<FibonacciGetResult>("fibonacci/_action/get_result", request).unwrap();
    assert_eq!((result.status, result.result.sequence), (GoalStatus::STATUS_SUCCEEDED, vec![1]));
    assert_eq!(cancel(&mut bench, stubborn), (CancelGoalResponse::ERROR_GOAL_TERMINATED, 0));
    assert_eq!(cancel(&mut bench, UUID { uuid: [77; 16] }), (CancelGoalResponse::ERROR_UNKNOWN_GOAL_ID, 0));
}

#[test]
fn a_handler_that_fails_has_not_agreed_and_its_complaint_is_heard() {
    let mut bench = bench();
    let odd = send(&mut bench, 2);
    assert_eq!(cancel(&mut bench, odd), (CancelGoalResponse::ERROR_REJECTED, 0));
    assert_eq!(bench.status("server", "handler").unwrap().1, "cannot tell");
}

#[test]
fn a_request_for_all_goals_calls_off_those_that_the_server_lets_go() {
    let mut bench = bench();
    for order in [1, 3, 0] {
        send(&mut bench, order);
    }
    reports(&mut bench);
    assert_eq!(cancel(&mut bench, UUID::default()), (CancelGoalResponse::ERROR_NONE, 2));
    let last = reports(&mut bench).pop().unwrap();
    assert_eq!(last, [ACCEPTED, CANCELING, GoalStatus::STATUS_CANCELED], "the second ends when its node ends it");
}
