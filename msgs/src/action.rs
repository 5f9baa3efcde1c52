//! Actions: three messages carried by two services and a feedback topic under `<name>/_action/`.

use crate::builtin_interfaces::msg::Time;
use crate::unique_identifier_msgs::msg::UUID;
use crate::{ActionType, Message, Service};

/// Request message of a service.
pub type RequestOf<S> = <S as Service>::Request;
/// Response message of a service.
pub type ResponseOf<S> = <S as Service>::Response;

/// An action type, a marker. The functions build and split the messages that carry it, so that servers and clients are generic.
pub trait Action: 'static {
    /// What is asked.
    type Goal: Message;
    /// What came of it.
    type Result: Message;
    /// Progress on the way.
    type Feedback: Message;
    /// Service `_action/send_goal`.
    type SendGoal: Service;
    /// Service `_action/get_result`.
    type GetResult: Service;
    /// Message of the topic `_action/feedback`.
    type FeedbackMessage: Message;

    /// The static description of this action.
    fn action_type() -> &'static ActionType;

    /// A request that asks for a goal.
    fn send_goal_request(goal_id: UUID, goal: Self::Goal) -> RequestOf<Self::SendGoal>;
    /// The parts of a request that asks for a goal.
    fn split_send_goal_request(request: RequestOf<Self::SendGoal>) -> (UUID, Self::Goal);
    /// The answer to it: accepted or not, and when.
    fn send_goal_response(accepted: bool, stamp: Time) -> ResponseOf<Self::SendGoal>;
    /// The parts of that answer.
    fn split_send_goal_response(response: ResponseOf<Self::SendGoal>) -> (bool, Time);
    /// A request for the result of a goal.
    fn get_result_request(goal_id: UUID) -> RequestOf<Self::GetResult>;
    /// The goal whose result is asked for.
    fn split_get_result_request(request: RequestOf<Self::GetResult>) -> UUID;
    /// The result with its status, a constant of `action_msgs/msg/GoalStatus`.
    fn get_result_response(status: i8, result: Self::Result) -> ResponseOf<Self::GetResult>;
    /// The parts of a result.
    fn split_get_result_response(response: ResponseOf<Self::GetResult>) -> (i8, Self::Result);
    /// Feedback of a goal.
    fn feedback_message(goal_id: UUID, feedback: Self::Feedback) -> Self::FeedbackMessage;
    /// The parts of a feedback message.
    fn split_feedback_message(message: Self::FeedbackMessage) -> (UUID, Self::Feedback);
}
